"""Data sets as plain arrays on disk: written once, memory-mapped by every process that trains on them.

    <data root>/prepared/<name>-<fingerprint>/{train_images,train_labels,test_images,test_labels}.npy, digest.json

A data set with a validation split has `valid_images` and `valid_labels`, too, and its fingerprint in the folder's name; one
whose images belong together has `train_units`. Images that are in a file of pixels already (`ImageRows`) are not copied: the
folder then has `train_rows.npy` and so on, their places in it, and `pixels.json`, which names the file.

The files are not read when they are opened: unless one of them has another size or modification time than when it was written,
they are taken to be as they were (`ltbench data --verify` reads them all).
Works without torch. The folder can be deleted at any time and is then recreated from the data set.
"""

from __future__ import annotations

import errno
import logging
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from ltbench.core import atomic_files, checksums
from ltbench.errors import DataError
from ltbench.image_files.image_rows import ImageRows
from ltbench.image_files.pixel_file import PixelFile
from ltbench.jobs.described import description
from ltbench.longtail import class_counts
from ltbench.stages import Dataset, DatasetInfo, Images

_OCCUPIED = {errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR}
"""Errors of a rename onto a path that exists; which one depends on the system and on what is there."""
_SOURCE = "pixels.json"
_LEFTOVER_SECONDS = 24 * 3600
_log = logging.getLogger(__name__)


class _Pixels(msgspec.Struct, frozen=True):
    """The file of pixels that images are rows of."""

    folder: str
    """Beside that of the arrays"""
    generation: str
    shape: tuple[int, ...]


def prepare(dataset: Dataset, root: Path, known: DatasetInfo | None = None) -> Images:
    """Return the arrays of a data set, memory-mapped copy-on-write, or as `ImageRows`.

    known: its description; then it is not described again, which may take long, if its arrays are there. Missing, damaged or outdated files are recreated. If the data root cannot be written to (read-only, full), the
    arrays are kept in memory. Raises `DataError` if the data set is missing or its arrays do not match its `info`.
    """
    info = known or description(dataset, root)
    if (images := _open_arrays(_folder(dataset, info, root), info)) is not None:
        return images
    if known is not None and _folder(dataset, dataset.info(root), root) != _folder(dataset, known, root):
        raise DataError(f"data set '{dataset.label}' has changed since it was described", fix="run the command again")
    return keep(dataset, dataset.load(root), info, root)


def damage(dataset: Dataset, root: Path) -> str | None:
    """Return what is wrong with the prepared files of a data set, all of which are read; empty for nothing.

    None if it is not prepared. Damaged ones are recreated by the next `prepare`. Raises `DataError` if the data set is missing.
    """
    info = dataset.info(root)
    folder = _folder(dataset, info, root)
    if not folder.is_dir():
        return None
    if found := checksums.examine(folder, folder.name):
        atomic_files.remove(folder / checksums.NAME)
        return f"{folder}: {found}"
    try:
        file = _pixel_file(folder)
    except DataError as error:
        return str(error)
    if file is not None and (bad := file.damaged()):
        file.distrust()
        return f"{file.pixels}: {sum(len(chunk.versions) for chunk in bad)} images are not what was written"
    return ""


def keep(dataset: Dataset, images: Images, info: DatasetInfo, root: Path) -> Images:
    """Store the arrays of a data set where `prepare` looks for them, and return them like `prepare`.

    A data set that has to read its images to compute its `info` calls this, so that they are read once.
    """
    images = validated(images, info, dataset.label)
    folder = _folder(dataset, info, root)
    rows = images.train_images
    if isinstance(rows, ImageRows) and rows.path.parent.parent != folder.parent:
        return images  # rows of a file of the data set itself, which is prepared as it is
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


def _arrays(info: DatasetInfo, *, rows: bool) -> list[str]:
    """Return the names of the stored arrays. rows: whether images are rows of a file of pixels."""
    units = ["train_units"] if info.train_units else []
    images = "rows" if rows else "images"
    return [*(f"{split}_{part}" for split in _splits(info) for part in (images, "labels")), *units]


def _pixel_file(folder: Path) -> PixelFile | None:
    """Return the file of pixels that prepared images are rows of; None if they have files of their own."""
    try:
        source = msgspec.json.decode((folder / _SOURCE).read_bytes(), type=_Pixels)
    except FileNotFoundError:
        return None
    file = PixelFile(folder.parent / source.folder, source.shape)
    if file.generation != source.generation:
        raise DataError(f"the rows of {folder} are those of pixels that were read again since")
    return file


def _open_arrays(folder: Path, info: DatasetInfo) -> Images | None:
    """Return the memory-mapped arrays; None if a file is missing, damaged or does not match `info`."""
    try:
        if not checksums.is_as_stamped(folder, folder.name):
            if checksums.examine(folder, folder.name):
                return None
            with suppress(OSError):  # a copy of a folder, or one of an earlier version: read it once
                checksums.seal(folder, folder.name, stamped=True)
        file = _pixel_file(folder)
        if file is not None and not file.is_intact():
            return None
        # Mode c (copy-on-write): torch wants writable arrays, and other processes map the same file.
        arrays: dict[str, Any] = {
            name: np.load(folder / f"{name}.npy", mmap_mode="c", allow_pickle=False)
            for name in _arrays(info, rows=file is not None)
        }
        if file is not None:
            for split in _splits(info):
                arrays[f"{split}_images"] = ImageRows(file.pixels, file.shape, arrays.pop(f"{split}_rows"))
        return validated(Images(**arrays), info, folder.name)
    except (OSError, ValueError, DataError, msgspec.DecodeError):
        return None


def validated(images: Images, info: DatasetInfo, label: str) -> Images:
    """Return the images as contiguous, writable arrays, or `ImageRows`; raise `DataError` if they do not match `info`."""
    arrays: dict[str, Any] = {}
    for split, counts in _splits(info).items():
        expected: dict[str, tuple[type[np.generic], tuple[int, ...]]] = {
            f"{split}_images": (np.uint8, (sum(counts), info.channels, info.side, info.side)),
            f"{split}_labels": (np.int64, (sum(counts),)),
        }
        for name, (dtype, shape) in expected.items():
            given = getattr(images, name)
            array: Any = given if isinstance(given, ImageRows) else np.asanyarray(given)
            if array.dtype != dtype or array.shape != shape:
                raise DataError(
                    f"data set '{label}': {name} are {array.dtype} {list(array.shape)}",
                    why=f"expected {np.dtype(dtype)} {list(shape)}",
                    fix="correct info or load",
                )
            arrays[name] = array if isinstance(array, ImageRows) else np.require(array, requirements=["C", "W"])
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
        rows = images.train_images if isinstance(images.train_images, ImageRows) else None
        for name in _arrays(info, rows=rows is not None):
            split, _, part = name.rpartition("_")
            array = getattr(images, f"{split}_images").rows if part == "rows" else getattr(images, name)
            np.save(staging / f"{name}.npy", array)
        if rows is not None:
            shape = tuple(rows.shape[1:])
            source = _Pixels(rows.path.parent.name, PixelFile(rows.path.parent, shape).generation, shape)
            (staging / _SOURCE).write_bytes(msgspec.json.encode(source))
        checksums.seal(staging, folder.name, stamped=True)
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
