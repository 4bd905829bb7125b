"""What a data set found in its files: which it read, which it left out and why, and what a reader should know."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class SkippedFiles(msgspec.Struct, frozen=True, kw_only=True):
    """Files, or folders with all that is in them, that were left out for one reason."""

    place: str
    """Their folder, relative to that of the data set"""
    reason: str
    number: int
    example: str
    """One of them, relative to `place`"""


class DataReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was found in the files of a data set. It influences no number and is part of no identity.

    It is the same on every machine that has the same files: it has no absolute path.
    """

    files: tuple[int, ...]
    """Files seen per class, in label order"""
    train: tuple[int, ...]
    """Files read for training, per class"""
    test: tuple[int, ...]
    skipped: tuple[SkippedFiles, ...] = ()
    notes: tuple[str, ...] = ()
    """Remarks in sentences without a full stop: how images were read, images in both splits"""

    def summary(self) -> str:
        """Return a line with the totals."""
        seen, train, test = sum(self.files), sum(self.train), sum(self.test)
        return f"{seen:,} files: {train:,} for training, {test:,} for testing, {seen - train - test:,} left out"

    def remarks(self) -> list[str]:
        """Return what was left out, by place, and the notes, a line each."""
        left_out = [
            f"{part.place}: {part.number:,} left out, {part.reason}, such as {part.example}" for part in self.skipped
        ]
        return [*left_out, *self.notes]

    def rows(self, classes: Sequence[str]) -> list[list[str]]:
        """Return the rows of a table with the columns `COLUMNS`, one for each class."""
        return [
            [name, *(f"{number:,}" for number in (files, train, test, files - train - test))]
            for name, files, train, test in zip(classes, self.files, self.train, self.test, strict=True)
        ]


COLUMNS = ("class", "files", "training", "test", "left out")
