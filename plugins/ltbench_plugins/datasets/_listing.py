"""The files of a data set, before any of them is read."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec

from ltbench.image_files.decode import RULES
from ltbench_plugins.datasets._division import Division
from ltbench_plugins.datasets._files import LeftOut


class Item(msgspec.Struct, frozen=True):
    """An image and its label."""

    path: Path | str
    """The file, or the name of an image inside another file; text is faster for half a million files"""
    label: int
    group: str = ""
    """Images of a group stay together in a division; empty for none"""
    content: Callable[[], bytes] | None = None
    """Returns the bytes of an image inside another file"""


class Skipped(msgspec.Struct, frozen=True):
    """Files skipped in a folder (`place`, relative to the data set), of the class `label` or None."""

    label: int | None
    place: str
    part: LeftOut


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """The files of a data set."""

    folder: Path
    classes: tuple[str, ...]
    order: str = "of their names"
    """How the classes are ordered"""
    train: Sequence[Item] = ()
    test: Sequence[Item] = ()
    valid: Sequence[Item] = ()
    """Of a validation split; empty without one"""
    undivided: Sequence[Item] = ()
    """To be divided into training and test images once they are read"""
    division: Division | None = None
    """How they are divided"""
    stamp: str = ""
    """What tells versions of images inside other files apart"""
    skipped: Sequence[Skipped] = ()
    notes: Sequence[str] = ()
    """Notes of the report on the selection of files."""

    @property
    def splits(self) -> dict[str, Sequence[Item]]:
        """The files by split, before a division; without an empty validation split."""
        given = {"train": self.train, "test": self.test} | ({"valid": self.valid} if self.valid else {})
        return given if self.division is None else {"": self.undivided}

    @property
    def items(self) -> list[Item]:
        """All files."""
        return [item for items in self.splits.values() for item in items]

    def __len__(self) -> int:
        return sum(map(len, self.splits.values()))

    def counts(self, items: Iterable[Item]) -> tuple[int, ...]:
        """Return the number of items of each class."""
        counts = [0] * len(self.classes)
        for item in items:
            counts[item.label] += 1
        return tuple(counts)

    def digest(self, reading: str) -> str:
        """Return a digest of the listing, the versions of its files, and how they are read."""
        digest = hashlib.sha256(f"{RULES}/{reading}".encode())
        versions = iter(self.versions())
        for split, items in self.splits.items():
            digest.update(f"/{split}/{len(items)}/".encode())
            # At once: half a million calls would take as long as looking at the files does.
            digest.update(b"".join([next(versions) + f"{item.label}/{item.group}/".encode() for item in items]))
        return digest.hexdigest()[:32]

    def versions(self) -> list[bytes]:
        """Return the name of each file with size and modification time, which change with its content."""
        within = os.fsencode(self.folder) + b"/"
        inside = f"{self.stamp}/".encode()
        return [
            os.fsencode(item.path).removeprefix(within)
            + b"\0"
            + (_version(item.path) if item.content is None else inside)
            for item in self.items
        ]


def _version(path: Path | str) -> bytes:
    """Return what tells versions of a file apart; a file that is not there, or cannot be opened, may be later."""
    try:
        stat = os.stat(path)  # noqa: PTH116 - `Path` takes twice as long
    except (OSError, ValueError):
        return b"none/"
    return f"{stat.st_size}/{stat.st_mtime_ns}/{stat.st_mode}/".encode()
