"""Images of a data set as rows of a file of pixels, so that no set, split or fold needs a copy of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]


class _File:
    """A file that is open as long as it is used."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.handle = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))

    def __del__(self, close: Callable[[int], None] = os.close) -> None:  # at the end of Python, `os` may be gone
        if hasattr(self, "handle"):
            close(self.handle)

    def read(self, into: memoryview, start: int) -> None:
        """Fill a buffer from a place in the file. Raises `OSError` if the file is too short."""
        done = 0
        while done < len(into):
            # Not by a map: what a process reads of one counts as its memory, and a file that is cut off would kill it.
            if not (got := os.preadv(self.handle, [into[done:]], start + done)):
                raise OSError(f"{self.path} is shorter than it was")
            done += got


class ImageRows:
    """Images uint8 [N, channels, size, size], which are rows of a file; indexing reads them as an array of numpy's would.

    A slice is again `ImageRows`; anything else is read.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, file: Path | _File, shape: tuple[int, ...], rows: npt.ArrayLike, offset: int = 0) -> None:
        """file: images of `shape`, one after the other from `offset` on; rows: int64 [N], the place of each image among them."""
        self._file = _File(file) if isinstance(file, Path) else file
        self.rows: npt.NDArray[np.int64] = np.asarray(rows, np.int64)
        self.shape = (len(self.rows), *shape)
        self._offset = offset

    @property
    def path(self) -> Path:
        """The file."""
        return self._file.path

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    def at(self, rows: npt.ArrayLike) -> ImageRows:
        """Return the images at these indices, without reading them. rows: int64 [K]."""
        return ImageRows(self._file, self.shape[1:], self.rows[np.asarray(rows, np.int64)], self._offset)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            return ImageRows(self._file, self.shape[1:], self.rows[key], self._offset)
        if isinstance(key, tuple):
            return np.asarray(self)[key]
        rows = np.asarray(self.rows[key])
        return self._read(rows.ravel()).reshape(*rows.shape, *self.shape[1:])

    def __iter__(self) -> Iterator[Bytes]:
        return (self._read(self.rows[number : number + 1])[0] for number in range(len(self)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.asarray(self._read(self.rows), dtype)

    def __reduce__(self) -> tuple[Any, ...]:
        """Open the file again in another process, such as a worker of a loader."""
        return ImageRows, (self.path, self.shape[1:], self.rows, self._offset)

    def _read(self, rows: npt.NDArray[np.int64]) -> Bytes:
        images = np.empty((len(rows), *self.shape[1:]), np.uint8)
        size = prod(self.shape[1:])
        buffer = memoryview(images.reshape(-1).data)
        # Neighbours are read at once.
        starts = [0, *(np.flatnonzero(np.diff(rows) != 1) + 1).tolist()] if len(rows) else []
        for start, end in zip(starts, [*starts[1:], len(rows)], strict=False):
            self._file.read(buffer[start * size : end * size], self._offset + int(rows[start]) * size)
        return images


def picked(images: Bytes | ImageRows, rows: npt.ArrayLike) -> Bytes | ImageRows:
    """Return the images at these rows, without a copy if they are in a file."""
    return images.at(rows) if isinstance(images, ImageRows) else images[np.asarray(rows, np.int64)]


def mapped_rows(images: npt.NDArray[np.uint8]) -> ImageRows | None:
    """Return the images of a memory-mapped array as rows of its file; None for another array."""
    if not isinstance(images, np.memmap) or images.filename is None or not images.flags.c_contiguous:
        return None
    if images.nbytes != prod(images.shape) or images.base is None or isinstance(images.base, np.ndarray):
        return None  # a part of a map
    return ImageRows(Path(images.filename), images.shape[1:], np.arange(len(images)), images.offset)
