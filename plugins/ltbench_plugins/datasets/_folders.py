"""Data sets of image files: listing, describing and reading them.

The description depends on the files, so the first call reads them all. It stores the images where the engine looks for
prepared arrays, and the description in a small file next to them, named by a digest of the listing (names, sizes and
modification times of the files). Later calls only list the files and read the description. This module does not need
torch.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

import msgspec

from ltbench import DataReport, Dataset, DatasetInfo, Images, Meta, SkippedFiles
from ltbench.data_report import Census
from ltbench.errors import ParameterError
from ltbench.image_files.decode import Reading, Rules
from ltbench.image_files.names import plain
from ltbench_plugins.datasets import _census
from ltbench_plugins.datasets._content import (
    check_contrast,
    file_fingerprint,
    fingerprint,
    moments_of,
    valid_fingerprint,
)
from ltbench_plugins.datasets._listing import Item, Listing
from ltbench_plugins.datasets._reading import Source, read_or_kept, unreadable
from ltbench_plugins.datasets._remarks import Traits
from ltbench_plugins.datasets._splits import rows_by_split, units_of

_log = logging.getLogger(__name__)


class Description(msgspec.Struct, frozen=True):
    """What is known of a data set once its files are read."""

    info: DatasetInfo
    census: Census


class _Read(msgspec.Struct, frozen=True):
    """The files of a data set as they were read."""

    items: Sequence[Item]
    readings: Sequence[Reading]
    pixels: Any
    """uint8 [N, channels, size, size]"""
    sums: Sequence[Sequence[int]]
    """Of each image, as `moments_of` takes them"""
    rows: dict[str, list[int]]
    """Split -> the rows of its images, in their order"""
    units: dict[int, str]
    """Row of a training image -> what it stays together with when images are held out"""
    notes: Sequence[str]


_described: dict[str, Description] = {}
"""Cache of descriptions by digest of the listing, for data roots that cannot be written."""


StoredSide = Annotated[
    int,
    Meta(ge=0, le=1024, description="side to which images are resized, of which augmentations take `size`; 0: size"),
]


class Folders(Dataset, frozen=True):
    """A data set of image files; images are cropped to the central square and resized to `size` pixels."""

    licence: ClassVar[str] = ""
    home: ClassVar[str] = ""
    by_content: ClassVar[bool] = False
    """Whether images are in the order of their content, so that names do not matter"""

    size: Annotated[int, Meta(ge=1, le=1024, description="side in pixels of the images that networks take")] = 32

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
        return Rules(channels=self.depth, size=self.stored_side)

    @property
    def stored_side(self) -> int:
        """Side in pixels to which images are resized."""
        return self.size

    def reading(self, info: DatasetInfo) -> Rules:
        return msgspec.structs.replace(self.rules, size=self.size, stored=info.stored)

    @property
    def is_strict(self) -> bool:
        """Whether an unreadable file is an error."""
        return True

    def with_white(self, white: float) -> str:
        """Return the label of this data set with another value of white; empty if it has no such parameter."""
        return ""

    def info(self, root: Path) -> DatasetInfo:
        listing, known = self._known(root)
        # Skipped files may change without the images; the images are then not read again.
        return msgspec.structs.replace(known.info, report=_report(listing, known))

    def census(self, root: Path) -> Census:
        return self._known(root)[1].census

    def locate(self, root: Path) -> str:
        listing = self.listing(root)
        return f"{plain(str(listing.folder))} ({len(listing)} images)"

    def load(self, root: Path) -> Images:
        return self._images(self._read(self.listing(root), root))

    def _known(self, root: Path) -> tuple[Listing, Description]:
        listing = self.listing(root)
        digest = listing.digest(f"{self.label}/{listing.classes}")
        if digest not in _described:
            file = root / "prepared" / f"{self.name}-{digest}.json"
            _described[digest] = _stored(file) or self._describe(listing, root, file)
        return listing, _described[digest]

    def _read(self, listing: Listing, root: Path) -> _Read:
        """Read the files, and divide them. Raises `DataError` for files and classes that cannot be read."""
        _log.info("%s: reading %d images", self.label, len(listing))
        items = listing.items
        sources = [Source(Path(item.path), item.content) for item in items]
        pixels, readings, sums = read_or_kept(
            sources, listing.versions(), self.rules, root, listing.folder, strict=self.is_strict
        )
        failed = [(Path(item.path), one) for item, one in zip(items, readings, strict=True) if one.problem]
        if fatal := [pair for pair in failed if self.is_strict or pair[1].is_rule]:
            raise unreadable(fatal, len(items), self.with_white(max((one.highest for one in readings), default=0.0)))
        rows, notes = rows_by_split(listing, items, readings)
        if self.by_content:
            for of in rows.values():
                of.sort(key=lambda row: (items[row].label, readings[row].digest))
        units = units_of(rows["train"], items, readings) if self.by_content else {}
        return _Read(items, readings, pixels, sums, rows, units, notes)

    def _images(self, read: _Read) -> Images:
        import numpy as np

        from ltbench.image_files.image_rows import picked

        arrays = {}
        for split, rows in read.rows.items():
            arrays[f"{split}_images"] = picked(read.pixels, rows)
            arrays[f"{split}_labels"] = np.array([read.items[row].label for row in rows], np.int64)
        numbers = {unit: number for number, unit in enumerate(dict.fromkeys(map(read.units.get, read.rows["train"])))}
        if 1 < len(numbers) < len(read.rows["train"]):
            arrays["train_units"] = np.array([numbers[read.units[row]] for row in read.rows["train"]], np.int64)
        return Images(**arrays)

    def _describe(self, listing: Listing, root: Path, file: Path) -> Description:
        from ltbench.engine.dataset_arrays import keep

        read = self._read(listing, root)
        traits = Traits.of(read.readings)
        traits.check_effect(self.rules, self.label)
        images = self._images(read)
        mean, std = moments_of([read.sums[row] for row in read.rows["train"]], self.stored_side**2)
        check_contrast(std, self.label)
        known = _census_of(listing, read, self.rules)
        counts = {split: listing.counts(map(read.items.__getitem__, rows)) for split, rows in read.rows.items()}
        by_file = {
            split: ([read.readings[row].digest for row in rows], [read.items[row].label for row in rows])
            for split, rows in read.rows.items()
            if self.rules.fast
        }
        if by_file:
            valid = file_fingerprint(self.rules, *by_file["valid"]) if "valid" in by_file else ""
        else:
            valid = valid_fingerprint(images)
        info = DatasetInfo(
            classes=listing.classes,
            train_counts=counts["train"],
            test_counts=counts["test"],
            channels=self.depth,
            size=self.size,
            stored=0 if self.stored_side == self.size else self.stored_side,
            mean=mean,
            std=std,
            fingerprint=file_fingerprint(self.rules, *by_file["train"], *by_file["test"]) if by_file else fingerprint(images),
            train_units=0 if images.train_units is None else int(images.train_units.max()) + 1,
            valid_counts=counts.get("valid", ()),
            valid_fingerprint=valid,
            licence=self.licence,
            source=self.home,
            report=DataReport(
                files=(), train=(), test=(), warnings=tuple(_census.warnings(known)),
                notes=(*read.notes, *_census.notes(known, self.rules), *traits.sentences(self.rules)),
            ),
        )  # fmt: skip
        keep(self, images, info, root)
        described = Description(info, known)
        _store(file, described)
        return described


def check_stored(dataset: Folders, stored: int) -> None:
    """Raise `ParameterError` if stored images are not larger than those that networks take."""
    if stored and stored <= dataset.size:
        raise ParameterError(
            f"{dataset.name} has stored = {stored}, which is not above size = {dataset.size}",
            fix=f"stored={dataset.size * 8 // 7}, or stored=0 for size",
        )


def find(root: Path, path: str) -> Path:
    """Return the file or folder of a parameter: an absolute path, or one under the data root."""
    return root / _expanded(path)


def _expanded(path: str) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError:  # ~ of a user who has no home; there is no such folder
        return Path(path)


def or_other_root(path: str) -> str:
    """Return the second fix for a missing folder: another data root, if the path is relative."""
    return (
        "" if _expanded(path).is_absolute() else f"; or --data-root FOLDER (or LTBENCH_DATA), which has {plain(path)}"
    )


def _census_of(listing: Listing, read: _Read, rules: Rules) -> Census:
    # Images that are for training and testing count as training images.
    split_of = {row: split for split, rows in reversed(read.rows.items()) for row in rows}
    names = _census.relative_names([item.path for item in read.items], listing.folder)
    seen = [
        _census.Seen(name, item.label, split_of.get(row, ""), reading)
        for row, (item, name, reading) in enumerate(zip(read.items, names, read.readings, strict=True))
    ]
    return _census.census(listing.classes, listing.order, seen, list(read.rows), rules)


def _report(listing: Listing, known: Description) -> DataReport:
    """Return the report on a listing, with what is known of the images."""
    assert known.info.report is not None, "a description has the notes on reading"
    files = list(listing.counts(listing.items))
    for one in listing.skipped:
        if one.label is not None:
            files[one.label] += one.part.number
    others = [
        SkippedFiles(place=one.place, reason=one.part.reason, number=one.part.number, example=one.part.example)
        for one in listing.skipped
    ]
    return msgspec.structs.replace(
        known.info.report,
        files=tuple(files),
        train=known.info.train_counts,
        test=known.info.test_counts,
        valid=known.info.valid_counts,
        skipped=(*others, *_census.skipped(known.census)),
        notes=(*listing.notes, *known.info.report.notes),
    )


def _stored(file: Path) -> Description | None:
    try:
        known = msgspec.json.decode(file.read_bytes(), type=Description)
    except (OSError, msgspec.DecodeError):
        return None
    return known if known.info.report is not None else None


def _store(file: Path, known: Description) -> None:
    """Write a description completely or not at all; if that fails, each process recomputes it."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=file.parent, prefix=f".{file.stem}-") as folder:
            staged = Path(folder) / file.name
            staged.write_bytes(msgspec.json.encode(known))
            staged.replace(file)
    except OSError as error:
        _log.info("%s cannot be written: %s", file, error)
