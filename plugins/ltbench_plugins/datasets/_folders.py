"""Data sets of image files in folders: listing, describing and reading them.

The description depends on the files, so the first call reads them all. It stores the images where the engine looks for
prepared arrays, and the description in a small file next to them, named by a digest of the listing (names, sizes and
modification times of the files). Later calls only list the files and read the description. This module does not need
torch.
"""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Annotated, ClassVar

import msgspec

from ltbench import DataReport, Dataset, DatasetInfo, Images, Meta, SkippedFiles
from ltbench.errors import DataError
from ltbench.image_files.decode import RULES, Readings, Rules, decode, empty_images
from ltbench.image_files.names import plain
from ltbench_plugins.datasets._content import check_contrast, copies, fingerprint, moments, valid_fingerprint
from ltbench_plugins.datasets._files import LeftOut

_described: dict[str, DatasetInfo] = {}
"""Cache of descriptions by digest of the listing, for data roots that cannot be written."""
_log = logging.getLogger(__name__)


class Item(msgspec.Struct, frozen=True):
    """An image file and its label."""

    path: Path
    label: int


class Skipped(msgspec.Struct, frozen=True):
    """Files skipped in a folder (`place`, relative to the data set), of the class `label` or None."""

    label: int | None
    place: str
    part: LeftOut


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """The files of a data set, in the order of its images."""

    folder: Path
    classes: tuple[str, ...]
    train: Sequence[Item]
    test: Sequence[Item]
    valid: Sequence[Item] = ()
    """Of a validation split; empty without one"""
    skipped: Sequence[Skipped] = ()
    notes: Sequence[str] = ()
    """Notes of the report on the selection of files."""

    @property
    def splits(self) -> dict[str, Sequence[Item]]:
        """The files by split; without an empty validation split."""
        return {"train": self.train, "test": self.test} | ({"valid": self.valid} if self.valid else {})

    def __len__(self) -> int:
        return sum(map(len, self.splits.values()))


class Folders(Dataset, frozen=True):
    """A data set of image files; images are cropped to the central square and resized to `size` pixels."""

    licence: ClassVar[str] = ""
    home: ClassVar[str] = ""

    size: Annotated[int, Meta(ge=1, le=1024, description="side in pixels to which images are resized")] = 32

    def listing(self, root: Path) -> Listing:
        """List the files. If they are missing, raises `DataError` that tells the user which files to put where."""
        raise NotImplementedError

    @property
    def depth(self) -> int:
        """Channels of an image: 1 is grey, 3 is colour."""
        return 3

    @property
    def rules(self) -> Rules:
        """How files are read."""
        return Rules(channels=self.depth, size=self.size)

    def reading(self, info: DatasetInfo) -> Rules:
        return self.rules

    def with_white(self, white: float) -> str:
        """Return the label of this data set with another value of white; empty if it has no such parameter."""
        return ""

    def info(self, root: Path) -> DatasetInfo:
        listing = self.listing(root)
        digest = _digest(listing, self.label)
        if digest not in _described:
            file = root / "prepared" / f"{self.name}-{digest}.json"
            _described[digest] = _read(file) or self._describe(listing, root, file)
        info = _described[digest]
        # Skipped files may change without the images; the images are then not read again.
        assert info.report is not None, "a description has the notes on reading"
        return msgspec.structs.replace(info, report=_report(listing, info.report.notes))

    def locate(self, root: Path) -> str:
        listing = self.listing(root)
        return f"{plain(str(listing.folder))} ({len(listing)} images)"

    def load(self, root: Path) -> Images:
        return self._images(self.listing(root), root, Readings())

    def _images(self, listing: Listing, root: Path, met: Readings) -> Images:
        import numpy as np

        _log.info("%s: reading %d images", self.label, len(listing))
        splits = listing.splits
        pixels = {name: empty_images(len(items), self.rules, root / "prepared") for name, items in splits.items()}
        labels = {name: np.array([item.label for item in items], np.int64) for name, items in splits.items()}
        # All splits at once, so that an error lists files of each.
        files = [item.path for items in splits.values() for item in items]
        decode(files, chain(*pixels.values()), self.rules, met, self.with_white)
        arrays = {f"{split}_images": pixels[split] for split in splits}
        return Images(**arrays, **{f"{split}_labels": labels[split] for split in splits})

    def _describe(self, listing: Listing, root: Path, file: Path) -> DatasetInfo:
        from ltbench.engine.dataset_arrays import keep

        met = Readings()
        images = self._images(listing, root, met)
        met.check_effect(self.rules, self.label)
        mean, std = moments(images.train_images)
        check_contrast(std, self.label)
        info = DatasetInfo(
            classes=listing.classes,
            train_counts=_counts(listing.train, len(listing.classes)),
            test_counts=_counts(listing.test, len(listing.classes)),
            channels=self.depth,
            size=self.size,
            mean=mean,
            std=std,
            fingerprint=fingerprint(images),
            valid_counts=_counts(listing.valid, len(listing.classes)) if listing.valid else (),
            valid_fingerprint=valid_fingerprint(images),
            licence=self.licence,
            source=self.home,
            report=DataReport(
                files=(), train=(), test=(), notes=(*met.sentences(self.rules), *copies(images)),
            ),
        )  # fmt: skip
        keep(self, images, info, root)
        _write(file, info)
        return info


def find(root: Path, path: str) -> Path:
    """Return the folder of a parameter: an absolute path, or one under the data root."""
    return root / Path(path).expanduser()


def or_other_root(path: str) -> str:
    """Return the second fix for a missing folder: another data root, if the path is relative."""
    return (
        ""
        if Path(path).expanduser().is_absolute()
        else f"; or --data-root FOLDER (or LTBENCH_DATA), which has {plain(path)}"
    )


def _report(listing: Listing, notes: Sequence[str]) -> DataReport:
    """Return the report on a listing. notes: notes on the images."""
    read = {split: _counts(items, len(listing.classes)) for split, items in listing.splits.items()}
    files = [sum(each) for each in zip(*read.values(), strict=True)]
    for skipped in listing.skipped:
        if skipped.label is not None:
            files[skipped.label] += skipped.part.number
    return DataReport(
        files=tuple(files),
        **read,
        skipped=tuple(
            SkippedFiles(place=one.place, reason=one.part.reason, number=one.part.number, example=one.part.example)
            for one in listing.skipped
        ),
        notes=(*listing.notes, *notes),
    )


def _counts(items: Iterable[Item], classes: int) -> tuple[int, ...]:
    counts = [0] * classes
    for item in items:
        counts[item.label] += 1
    return tuple(counts)


def _digest(listing: Listing, label: str) -> str:
    """Return a digest of the rules of reading and of names, sizes and modification times of the files."""
    digest = hashlib.sha256(f"{RULES}/{label}".encode())
    within = len(os.fsencode(listing.folder))
    for items in listing.splits.values():
        digest.update(f"/{len(items)}/".encode())
        for item in items:
            try:
                stat = item.path.stat()
            except OSError as error:
                raise DataError(f"{plain(str(item.path))} cannot be read", why=str(error.strerror)) from error
            digest.update(os.fsencode(item.path)[within:])
            digest.update(f"/{item.label}/{stat.st_size}/{stat.st_mtime_ns}/".encode())
    digest.update("/".join(listing.classes).encode())
    return digest.hexdigest()[:32]


def _read(file: Path) -> DatasetInfo | None:
    try:
        info = msgspec.json.decode(file.read_bytes(), type=DatasetInfo)
    except (OSError, msgspec.DecodeError):
        return None
    return info if info.report is not None else None


def _write(file: Path, info: DatasetInfo) -> None:
    """Write a description completely or not at all; if that fails, each process recomputes it."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=file.parent, prefix=f".{file.stem}-") as folder:
            staged = Path(folder) / file.name
            staged.write_bytes(msgspec.json.encode(info))
            staged.replace(file)
    except OSError as error:
        _log.info("%s cannot be written: %s", file, error)
