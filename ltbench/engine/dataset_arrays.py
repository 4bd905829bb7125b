"""Data sets as plain arrays on disk, written once and mapped into memory by every process that trains on them.

    <data root>/prepared/<name>-<fingerprint>/{train_images,train_labels,test_images,test_labels}.npy, digest.json

Works without torch. The folder can be deleted at any time; it is made again from the data set.
"""

from __future__ import annotations

import errno
import logging
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ltbench.core import atomic_files, checksums
from ltbench.errors import DataError
from ltbench.longtail import class_counts
from ltbench.stages import Dataset, DatasetInfo, Images

ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")
_TAKEN = {errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR}
_STALE_S = 24 * 3600
_log = logging.getLogger(__name__)


def prepare(dataset: Dataset, root: Path) -> Images:
    """Return the arrays of a data set, memory-mapped and private to this process where they are written to.

    Files that are missing, damaged or of another data set are made anew. Where nothing can be written (a read-only
    or full data root) the arrays are kept in memory. Raises `DataError` where the data set is missing or returns
    something else than it describes.
    """
    info = dataset.info(root)
    return _opened(_folder(dataset, info, root), info) or keep(dataset, dataset.load(root), info, root)


def keep(dataset: Dataset, images: Images, info: DatasetInfo, root: Path) -> Images:
    """Store the arrays of a data set where `prepare` finds them, and return them as it does.

    A data set that has to read its images in order to describe itself calls this, so that they are read once.
    """
    images = _checked(images, info, dataset.label)
    folder = _folder(dataset, info, root)
    try:
        _store(images, folder, info)
    except OSError as error:
        _log.info("%s is kept in memory: %s cannot be written (%s)", dataset.label, folder, error)
        return images
    return _opened(folder, info) or images


def _folder(dataset: Dataset, info: DatasetInfo, root: Path) -> Path:
    return root / "prepared" / f"{dataset.name}-{info.fingerprint}"


def _opened(folder: Path, info: DatasetInfo) -> Images | None:
    """Return the mapped arrays; None unless every file is the one that was written, for this very data set."""
    try:
        if checksums.examine(folder, folder.name):
            return None
        # Mode c: writing changes the process's own copy, never the file.
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="c", allow_pickle=False) for name in ARRAYS}
        return _checked(Images(**arrays), info, folder.name)
    except (OSError, ValueError, DataError):
        return None


def _checked(images: Images, info: DatasetInfo, label: str) -> Images:
    """Return the images as writable arrays; raise `DataError` where they are not what `info` says."""
    arrays = {}
    for split, counts in (("train", info.train_counts), ("test", info.test_counts)):
        wanted: dict[str, tuple[type[np.generic], tuple[int, ...]]] = {
            f"{split}_images": (np.uint8, (sum(counts), info.channels, info.size, info.size)),
            f"{split}_labels": (np.int64, (sum(counts),)),
        }
        for name, (dtype, shape) in wanted.items():
            array: npt.NDArray[np.generic] = np.asanyarray(getattr(images, name))
            if array.dtype != dtype or array.shape != shape:
                raise DataError(
                    f"data set '{label}': {name} are {array.dtype} {list(array.shape)}",
                    why=f"expected {np.dtype(dtype)} {list(shape)}",
                )
            arrays[name] = np.require(array, requirements=["C", "W"])
        found = class_counts(arrays[f"{split}_labels"], len(info.classes)).tolist()
        if found != list(counts):
            raise DataError(f"data set '{label}': {split} images per class are {found}", why=f"expected {list(counts)}")
    return Images(**arrays)


def _store(images: Images, folder: Path, info: DatasetInfo) -> None:
    """Write the arrays beside their place and rename the whole into it; whoever is first wins."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    _sweep(folder.parent)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as temporary:
        staging = Path(temporary) / "new"
        staging.mkdir()
        for name in ARRAYS:
            np.save(staging / f"{name}.npy", getattr(images, name))
        checksums.seal(staging, folder.name)
        for attempt in range(3):
            try:
                staging.rename(folder)
            except OSError as error:
                if error.errno not in _TAKEN:
                    raise
            else:
                return
            if _opened(folder, info) is not None:
                return
            # What is there is no good. It goes with the temporary folder; whoever has mapped it keeps what he has.
            with suppress(FileNotFoundError):
                folder.rename(Path(temporary) / f"damaged{attempt}")


def _sweep(parent: Path) -> None:
    """Remove what killed processes have left half-written, a day later."""
    for left in parent.glob(".*"):
        with suppress(OSError):
            if left.stat().st_mtime < time.time() - _STALE_S:
                atomic_files.remove(left)
