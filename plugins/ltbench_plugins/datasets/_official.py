"""Data sets of image files that were published with lists or folders of their own."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import msgspec

from ltbench import Meta
from ltbench.errors import DataError
from ltbench.image_files.decode import Rules
from ltbench.image_files.names import plain
from ltbench_plugins.datasets._folders import Folders, StoredSide, check_stored, find, or_other_root
from ltbench_plugins.datasets._listing import Item, Listing

_WORDS = {"train": "training", "test": "test", "valid": "validation"}


class Rows(msgspec.Struct, frozen=True):
    """The images of a split, as a list or the folders name them."""

    source: Path
    paths: list[str]
    """Relative to the folder of the data set"""
    labels: list[int]


class Official(Folders, frozen=True):
    """Image files of a published data set. A subclass says what it consists of, and reads its lists."""

    numbers: ClassVar[Mapping[str, int]]
    """Split (train, test, valid) -> images"""
    class_number: ClassVar[int]
    extremes: ClassVar[tuple[int, int]]
    """Training images of the largest and of the smallest class"""
    layout: ClassVar[str]
    """What to put where"""
    known: ClassVar[Mapping[str, str]] = {}
    """Split -> digest of its published list"""

    path: Annotated[str, Meta(description="folder of the data set, absolute or relative to the data root")] = ""
    stored: StoredSide = 0
    fit: Annotated[
        Literal["crop", "pad", "squash"],
        Meta(description="how images become squares: their centre, all on a white ground, or out of proportion"),
    ] = "crop"

    def check(self) -> None:
        check_stored(self, self.stored)

    @property
    def stored_side(self) -> int:
        return self.stored or self.size

    @property
    def rules(self) -> Rules:
        return Rules(channels=3, size=self.stored_side, fit=self.fit, fast=True)

    def rows(self, folder: Path) -> Iterator[tuple[str, Rows]]:
        """Yield the images of each split. Raises `OSError` if a list is missing."""
        raise NotImplementedError

    def class_names(self, folder: Path, train: Rows) -> Sequence[str]:
        """Return the names of the classes: by default those of the folders of their images."""
        named: dict[int, str] = {}
        for path, label in zip(train.paths, train.labels, strict=True):
            if label not in named:
                named[label] = self.class_of(path)
        return [named[label] for label in range(len(named))]

    def class_of(self, path: str) -> str:
        """Return the name of the class of an image from its path: by default that of its folder."""
        return path.rpartition("/")[0].rpartition("/")[2]

    def listing(self, root: Path) -> Listing:
        folder = find(root, self.path)
        try:
            splits = dict(self.rows(folder))
        except OSError as error:
            raise self._missing(
                folder, f"{error.filename}: {error.strerror}" if error.filename else str(error)
            ) from None
        self._check_numbers(splits)
        within = f"{folder}/"
        items = {
            split: [Item(within + path, label) for path, label in zip(rows.paths, rows.labels, strict=True)]
            for split, rows in splits.items()
        }
        return Listing(
            folder=folder,
            classes=tuple(map(plain, self.class_names(folder, splits["train"]))),
            order="of the labels of the data set",
            train=items["train"],
            test=items["test"],
            valid=items.get("valid", ()),
            notes=[
                f"the list of {_WORDS[split]} images is not the published one"
                for split, digest in self.known.items()
                if list_digest(splits[split]) != digest
            ],
        )

    def _missing(self, folder: Path, why: str) -> DataError:
        return DataError(
            f"{self.name} is missing", where=plain(str(folder)), why=plain(why),
            fix=f"put {self.layout} there (from {self.home}), or name the folder: {self.name}[path=FOLDER]"
            + or_other_root(self.path),
        )  # fmt: skip

    def _check_numbers(self, splits: Mapping[str, Rows]) -> None:
        """Raise `DataError` if there are more or fewer images or classes than the data set has."""
        for split, number in self.numbers.items():
            if (found := len(splits[split].labels)) != number:
                raise self._other(splits[split], f"it has {found:,} images; expected {number:,}")
        counts = Counter(splits["train"].labels)
        if sorted(counts) != list(range(self.class_number)):
            raise self._other(
                splits["train"], f"it has {len(counts):,} classes; expected 0 to {self.class_number - 1:,}"
            )
        largest, smallest = max(counts.values()), min(counts.values())
        if (largest, smallest) != self.extremes:
            expected = f"expected {self.extremes[1]} to {self.extremes[0]:,}"
            raise self._other(splits["train"], f"its classes have {smallest} to {largest:,} images; {expected}")
        for rows in splits.values():
            if unknown := set(rows.labels) - counts.keys():
                raise self._other(rows, f"it has images of class {min(unknown)}, which has no training images")

    def _other(self, rows: Rows, why: str) -> DataError:
        return DataError(
            f"{plain(str(rows.source))} is not that of {self.name}",
            why=why,
            fix=f"get it from {self.home}; image_list or image_folder read lists and folders of your own",
        )


class OfficialPhotos(Official, frozen=True):
    """Photos that are long-tailed already, for networks that take 224 x 224 pixels."""

    augment = "random_resized_crop"
    profile = "natural"

    size: Annotated[int, Meta(ge=1, le=1024, description="side in pixels of the images that networks take")] = 224
    stored: StoredSide = 256


def list_digest(rows: Rows) -> str:
    """Return a digest of a list, which does not depend on the order of its lines."""
    lines = sorted(f"{path} {label}" for path, label in zip(rows.paths, rows.labels, strict=True))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:32]


def lines_of(file: Path) -> Rows:
    """Return the rows of a file with a path and a label on each line. Raises `OSError` if it is missing."""
    paths, labels = [], []
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            path, _, label = line.strip().rpartition(" ")
            if not path and not label:
                continue
            if not path or not label.isdecimal():
                raise DataError(
                    f"line {number} of {plain(str(file))} is not a path and a label", why=f"it is {line.strip()!a}",
                    fix="get the list again",
                )  # fmt: skip
            paths.append(path)
            labels.append(int(label))
    return Rows(file, paths, labels)


def long_tailed_lists(folder: Path, name: str) -> Iterator[tuple[str, Rows]]:
    """Yield the rows of each split, from the lists of Liu et al. (CVPR 2019). Raises `OSError` if one is missing."""
    for split, part in (("train", "train"), ("test", "test"), ("valid", "val")):
        yield split, lines_of(folder / f"{name}_{part}.txt")


def json_rows(file: Path) -> Rows:
    """Return the rows of annotations in the format of COCO. Raises `OSError` if the file is missing."""
    try:
        content = json.loads(file.read_bytes())
        labels = {row["image_id"]: int(row["category_id"]) for row in content["annotations"]}
        return Rows(
            file, [row["file_name"] for row in content["images"]], [labels[row["id"]] for row in content["images"]]
        )
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{plain(str(file))} cannot be read", why=f"{type(error).__name__}: {error}", fix="get the file again"
        ) from None


def folder_rows(folder: Path, names: Sequence[str], inside: str = "") -> Rows:
    """Return the files of a folder for each class. inside: a folder within these. Raises `OSError` if one is missing."""
    paths, labels = [], []
    for label, name in enumerate(names):
        place = folder / name / inside
        for file in sorted(entry.name for entry in place.iterdir() if not entry.name.startswith(".")):
            paths.append((place / file).relative_to(folder.parent).as_posix())
            labels.append(label)
    return Rows(folder, paths, labels)
