"""Data sets as plain arrays on disk: written once, memory-mapped by every process that trains on them.

    <data root>/prepared/<name>-<fingerprint>/{train_images,train_labels,test_images,test_labels}.npy, digest.json

A data set with a validation split has `valid_images` and `valid_labels`, too, and its fingerprint in the folder's name; one
whose images belong together has `train_units`.
Works without torch. The folder can be deleted at any time and is then recreated from the data set.
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

_OCCUPIED = {errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR}
"""Errors of a rename onto a path that exists; which one depends on the system and on what is there."""
_LEFTOVER_SECONDS = 24 * 3600
_log = logging.getLogger(__name__)


def prepare(dataset: Dataset, root: Path) -> Images:
    """Return the arrays of a data set, memory-mapped copy-on-write.

    Missing, damaged or outdated files are recreated. If the data root cannot be written to (read-only, full), the
    arrays are kept in memory. Raises `DataError` if the data set is missing or its arrays do not match its `info`.
    """
    info = dataset.info(root)
    return _open_arrays(_folder(dataset, info, root), info) or keep(dataset, dataset.load(root), info, root)


def keep(dataset: Dataset, images: Images, info: DatasetInfo, root: Path) -> Images:
    """Store the arrays of a data set where `prepare` looks for them, and return them like `prepare`.

    A data set that has to read its images to compute its `info` calls this, so that they are read once.
    """
    images = validated(images, info, dataset.label)
    folder = _folder(dataset, info, root)
    try:
        _store(images, folder, info)
    except OSError as error:
        _log.info("%s is kept in memory: cannot write %s (%s)", dataset.label, folder, error)
        return images
    return _open_arrays(folder, info) or images


def _folder(dataset: Dataset, info: DatasetInfo, root: Path) -> Path:
    parts = (dataset.name, info.fingerprint, info.valid_fingerprint)
    return root / "prepared" / "-".join(filter(None, parts))


def _splits(info: DatasetInfo) -> dict[str, tuple[int, ...]]:
    """Return the class counts of each split."""
    splits = {"train": info.train_counts, "test": info.test_counts}
    return splits | ({"valid": info.valid_counts} if info.valid_counts else {})


def _arrays(info: DatasetInfo) -> list[str]:
    units = ["train_units"] if info.train_units else []
    return [*(f"{split}_{part}" for split in _splits(info) for part in ("images", "labels")), *units]


def _open_arrays(folder: Path, info: DatasetInfo) -> Images | None:
    """Return the memory-mapped arrays; None if a file is missing, damaged or does not match `info`."""
    try:
        if checksums.examine(folder, folder.name):
            return None
        # Mode c (copy-on-write): torch wants writable arrays, and other processes map the same file.
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="c", allow_pickle=False) for name in _arrays(info)}
        return validated(Images(**arrays), info, folder.name)
    except (OSError, ValueError, DataError):
        return None


def validated(images: Images, info: DatasetInfo, label: str) -> Images:
    """Return the images as contiguous, writable arrays; raise `DataError` if they do not match `info`."""
    arrays = {}
    for split, counts in _splits(info).items():
        expected: dict[str, tuple[type[np.generic], tuple[int, ...]]] = {
            f"{split}_images": (np.uint8, (sum(counts), info.channels, info.size, info.size)),
            f"{split}_labels": (np.int64, (sum(counts),)),
        }
        for name, (dtype, shape) in expected.items():
            array: npt.NDArray[np.generic] = np.asanyarray(getattr(images, name))
            if array.dtype != dtype or array.shape != shape:
                raise DataError(
                    f"data set '{label}': {name} are {array.dtype} {list(array.shape)}",
                    why=f"expected {np.dtype(dtype)} {list(shape)}",
                    fix="correct info or load",
                )
            arrays[name] = np.require(array, requirements=["C", "W"])
        actual = class_counts(arrays[f"{split}_labels"], len(info.classes)).tolist()
        if actual != list(counts):
            raise DataError(
                f"data set '{label}': {split} images per class are {actual}",
                why=f"expected {list(counts)}", fix="correct info or load",
            )  # fmt: skip
    if info.train_units:
        arrays["train_units"] = _checked_units(images.train_units, info, label)
    return Images(**arrays)


def _checked_units(units: object, info: DatasetInfo, label: str) -> npt.NDArray[np.generic]:
    array: npt.NDArray[np.generic] = np.asanyarray(units)
    if array.dtype != np.int64 or array.shape != (sum(info.train_counts),):
        raise DataError(
            f"data set '{label}': train_units are {array.dtype} {list(array.shape)}",
            why=f"expected int64 {[sum(info.train_counts)]}",
            fix="correct info or load",
        )
    if set(np.unique(array).tolist()) != set(range(info.train_units)):
        raise DataError(
            f"data set '{label}': train_units are not all numbers from 0 to {info.train_units - 1}",
            fix="correct info or load",
        )
    return np.require(array, requirements=["C", "W"])


def _store(images: Images, folder: Path, info: DatasetInfo) -> None:
    """Write the arrays to a temporary folder and rename it to `folder`; the first of several writers wins."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(folder.parent)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as temporary:
        staging = Path(temporary) / "new"
        staging.mkdir()
        for name in _arrays(info):
            np.save(staging / f"{name}.npy", getattr(images, name))
        checksums.seal(staging, folder.name)
        for attempt in range(3):
            try:
                staging.rename(folder)
            except OSError as error:
                if error.errno not in _OCCUPIED:
                    raise
            else:
                return
            if _open_arrays(folder, info) is not None:
                return
            # The existing folder is damaged: move it away and retry. Processes that have mapped its files keep them.
            with suppress(FileNotFoundError):
                folder.rename(Path(temporary) / f"damaged{attempt}")


def _remove_leftovers(parent: Path) -> None:
    """Remove temporary folders of killed processes once they are a day old; a younger one may be in use."""
    for folder in parent.glob(".*"):
        with suppress(OSError):
            if folder.stat().st_mtime < time.time() - _LEFTOVER_SECONDS:
                atomic_files.remove(folder)
