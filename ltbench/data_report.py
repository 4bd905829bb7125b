"""Reports on the files of a data set: files read, files skipped and why, remarks; and the census of its images."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class SkippedFiles(msgspec.Struct, frozen=True, kw_only=True):
    """Files or whole folders that were skipped for one reason."""

    place: str
    """Their folder, relative to the folder of the data set"""
    reason: str
    number: int
    example: str
    """One of them, relative to `place`"""


class DataReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was found in the files of a data set. It has no effect on results and is not part of an identity.

    It contains no absolute path, so it is the same on every machine with the same files.
    """

    files: tuple[int, ...]
    """Files seen per class, in label order"""
    train: tuple[int, ...]
    """Files read for training, per class"""
    test: tuple[int, ...]
    valid: tuple[int, ...] = ()
    """Files read for validation, per class; empty without a validation split"""
    skipped: tuple[SkippedFiles, ...] = ()
    notes: tuple[str, ...] = ()
    """Remarks without a full stop, such as how images were read, or images in both splits"""
    warnings: tuple[str, ...] = ()
    """Remarks that nobody should miss, without a full stop, such as a class most of whose files are unreadable"""

    def summary(self) -> str:
        """Return a line with the totals."""
        used = [(sum(self.train), "training"), (sum(self.test), "testing")]
        used += [(sum(self.valid), "validation")] if self.valid else []
        seen, read = sum(self.files), sum(number for number, _ in used)
        parts = ", ".join(f"{number:,} for {use}" for number, use in used)
        return f"{seen:,} files: {parts}, {seen - read:,} left out"

    def remarks(self) -> list[str]:
        """Return the warnings, skipped files by place, and the notes, one line each."""
        left_out = [
            f"{part.place}: {part.number:,} left out, {part.reason}, such as {part.example}" for part in self.skipped
        ]
        return [*(f"WARNING: {warning}" for warning in self.warnings), *left_out, *self.notes]

    @property
    def columns(self) -> tuple[str, ...]:
        """The headings of a table of the classes."""
        return "class", "files", "training", "test", *(["validation"] if self.valid else []), "left out"

    def rows(self, classes: Sequence[str]) -> list[list[str]]:
        """Return the rows of a table with these columns, one for each class."""
        splits = [self.train, self.test, *([self.valid] if self.valid else [])]
        return [
            [name, *(f"{number:,}" for number in (files, *read, files - sum(read)))]
            for name, files, *read in zip(classes, self.files, *splits, strict=True)
        ]


class UnreadableFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that was skipped because it cannot be read as an image."""

    file: str
    """Relative to the folder of the data set"""
    label: str
    """Its class"""
    reason: str


class Copies(msgspec.Struct, frozen=True, kw_only=True):
    """Images with identical pixels."""

    files: tuple[str, ...]
    """Relative to the folder of the data set"""
    labels: tuple[str, ...]
    """The class of each file; different ones are a contradiction"""
    splits: tuple[str, ...]
    """The split of each file: train, test or valid"""


class Census(msgspec.Struct, frozen=True, kw_only=True):
    """What the images of a data set are like, before they are resized. It has no effect on results."""

    classes: tuple[str, ...]
    order: str
    """How the classes are ordered: by name, by number, or as the data set states it"""
    images: dict[str, tuple[int, ...]]
    """Split -> readable images per class"""
    smallest: tuple[int, int]
    """Width and height of the image with the fewest pixels"""
    median: tuple[int, int]
    largest: tuple[int, int]
    enlarged: int
    """Images with fewer pixels than the data set: their shorter side is below its size, or the longer one if they are padded"""
    reduced: int
    """Images with more pixels than the data set, by the same side"""
    colours: dict[str, int]
    """Colour of the files, such as grey, RGB, RGB with alpha, CMYK or 16-bit grey -> images"""
    copies: tuple[Copies, ...]
    """Sets of images that are identical before cropping and resizing"""
    unreadable: tuple[UnreadableFile, ...]
    few: tuple[str, ...]
    """Classes with fewer than three images in all splits"""

    @property
    def counts(self) -> tuple[int, ...]:
        """Images per class in all splits."""
        return tuple(sum(each) for each in zip(*self.images.values(), strict=True))
