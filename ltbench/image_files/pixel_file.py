"""Pixels of image files, read once and kept: a file that grows, and an index of what is in it.

    <folder>/pixels.bin     uint8 images of one shape, one after the other
    <folder>/index.jsonl    a line for each chunk that was read: its files, what was found in them, a digest of its pixels
    <folder>/lock, writers  held while images are added

A chunk is written before its line, so a process that was killed loses only the chunks that it was at. A row is not written again while
the `generation` of the first line lasts: whoever names rows names it, too. The last line of a finished reading has size and modification time of the pixels; while they are as it
says, nobody reads the pixels to check them. The folder can be deleted at any time. Works without torch.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ltbench.image_files.decode import Reading

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


_FLUSHED = 1 << 27
"""Bytes of pixels after which they are sent to the disk."""


class _Head(msgspec.Struct, frozen=True, tag="head"):
    """The first line."""

    generation: str


class Chunk(msgspec.Struct, frozen=True, tag="chunk", kw_only=True):
    """Consecutive rows that were read together."""

    start: int
    """The first row"""
    versions: list[bytes]
    """What changes with each file: its name, size and modification time"""
    readings: list[Reading]
    sums: list[list[int]]
    """Of each image: sum of the values of each channel, then sum of their squares"""
    digest: str


class _Stamp(msgspec.Struct, frozen=True, tag="stamp"):
    """The pixels as they were when everything in them was known to be right."""

    size: int
    modified: int
    """In nanoseconds"""


class Kept(msgspec.Struct, frozen=True):
    """Where the image of a file is, and what was found."""

    row: int
    reading: Reading
    sums: list[int]


def digest_of(pixels: bytes | memoryview) -> str:
    """Return the digest of the pixels of a chunk."""
    return hashlib.blake2b(pixels, digest_size=16).hexdigest()


class PixelFile:
    """The pixels in a folder."""

    def __init__(self, folder: Path, shape: tuple[int, ...]) -> None:
        self.folder = folder
        self.shape = shape
        self.pixels = folder / "pixels.bin"
        self.writers = folder / "writers"
        """Locked, shared, by processes that write pixels for the one that adds them"""
        self._index = folder / "index.jsonl"
        self._image = prod(shape)
        """Bytes of an image"""
        self._unwritten = 0
        """Bytes of pixels that may still be on their way to the disk"""

    @property
    def generation(self) -> str:
        """What rows are named with; another one if the same rows may have other images. Empty for no pixels."""
        with suppress(OSError, msgspec.DecodeError, UnicodeDecodeError), self._index.open("rb") as file:
            return msgspec.json.decode(file.readline(), type=_Head).generation
        return ""

    @contextmanager
    def adding(self) -> Iterator[None]:
        """Let no other process add images; wait for one that does. Forget pixels that are damaged.

        Raises `OSError` if the folder cannot be written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with self.writers.open("wb") as writers:
                # Processes of one that was killed end soon, but may still write to rows that are given away now.
                fcntl.flock(writers, fcntl.LOCK_EX)
            if not self._is_as_stamped():
                bad = {chunk.start for chunk in self.damaged()}
                generation = uuid.uuid4().hex if bad else self.generation or uuid.uuid4().hex
                # Half a line at the end would spoil the next one, too.
                self._write_index(generation, [chunk for chunk in self.chunks() if chunk.start not in bad])
            yield

    def _write_index(self, generation: str, chunks: Sequence[Chunk]) -> None:
        entries = [_Head(generation), *chunks]
        fresh = self._index.with_name(".index.jsonl")
        fresh.write_bytes(b"".join(msgspec.json.encode(entry) + b"\n" for entry in entries))
        fresh.replace(self._index)

    def is_intact(self) -> bool:
        """Return whether the pixels are those of the index: by size and time stamp, or else by reading them all."""
        if not self.pixels.is_file() or not self.generation:
            return False
        if self._is_as_stamped():
            return True
        try:
            with (self.folder / "lock").open("wb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                intact = not self.damaged()
                if intact:
                    self.stamp()
        except OSError as error:
            if error.errno == errno.EWOULDBLOCK:  # images are being added, which leaves the others as they are
                return True
            return not self.damaged()
        return intact

    def damaged(self) -> list[Chunk]:
        """Return the chunks whose pixels are not what was written. Reads all of them."""
        bad = []
        try:
            with self.pixels.open("rb") as file:
                for chunk in self.chunks():
                    file.seek(chunk.start * self._image)
                    if digest_of(file.read(len(chunk.versions) * self._image)) != chunk.digest:
                        bad.append(chunk)
        except FileNotFoundError:
            return self.chunks()
        return bad

    def distrust(self) -> None:
        """Have the pixels read and checked before they are used again."""
        with suppress(OSError), self._index.open("ab") as file:
            file.write(b"{}\n")

    def chunks(self) -> list[Chunk]:
        """Return what is in the pixels."""
        return [entry for entry in self._entries() if isinstance(entry, Chunk)]

    def kept(self) -> dict[bytes, Kept]:
        """Return the image of each file, by its version."""
        return {
            version: Kept(chunk.start + number, chunk.readings[number], chunk.sums[number])
            for chunk in self.chunks()
            for number, version in enumerate(chunk.versions)
        }

    @contextmanager
    def reserved(self, images: int) -> Iterator[int]:
        """Provide the first of so many new rows, with space for them on the disk. Only within `adding`.

        Raises `OSError` if there is no space. Space that is not needed in the end is given back.
        """
        start = self._end()
        with self.pixels.open("ab") as file:
            try:
                if hasattr(os, "posix_fallocate") and images:
                    os.posix_fallocate(file.fileno(), start * self._image, images * self._image)
                else:
                    os.ftruncate(file.fileno(), (start + images) * self._image)
                yield start
            finally:
                os.ftruncate(file.fileno(), self._end() * self._image)

    def _end(self) -> int:
        """Return the number of rows."""
        return max((chunk.start + len(chunk.versions) for chunk in self.chunks()), default=0)

    def add(self, chunk: Chunk) -> None:
        """Note a chunk whose pixels are written. Only within `adding`."""
        with self._index.open("ab") as file:
            file.write(msgspec.json.encode(chunk) + b"\n")
        self._unwritten += len(chunk.versions) * self._image
        if self._unwritten > _FLUSHED:
            # While others read the next images; all at the end, nobody would.
            with self.pixels.open("rb") as pixels:
                os.fsync(pixels.fileno())
            self._unwritten = 0

    def stamp(self) -> None:
        """Note that the pixels are as they should be. Only within `adding`."""
        with self.pixels.open("rb") as file:
            os.fsync(file.fileno())
            stat = os.fstat(file.fileno())
        with self._index.open("ab") as file:
            file.write(msgspec.json.encode(_Stamp(stat.st_size, stat.st_mtime_ns)) + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def _is_as_stamped(self) -> bool:
        try:
            with self._index.open("rb") as file:
                file.seek(max(0, self._index.stat().st_size - 200))
                last = file.read().rstrip(b"\n").rpartition(b"\n")[2]
            stamp = msgspec.json.decode(last, type=_Stamp)
            stat = self.pixels.stat()
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return False
        return (stat.st_size, stat.st_mtime_ns) == (stamp.size, stamp.modified)

    def _entries(self) -> Iterator[_Head | Chunk | _Stamp]:
        decoder = msgspec.json.Decoder(_Head | Chunk | _Stamp)
        with suppress(FileNotFoundError), self._index.open("rb") as file:
            for line in file:
                # A process that was killed may have left half a line; what it says of is read again.
                with suppress(msgspec.DecodeError, UnicodeDecodeError):
                    yield decoder.decode(line)


def write_rows(pixels: Path, start: int, images: npt.NDArray[np.uint8]) -> str:
    """Write images, uint8 [N, ...], at their rows, the first of which is `start`; return their digest. Raises `OSError`."""
    content = images.reshape(-1).data
    handle = os.open(pixels, os.O_WRONLY)
    try:
        done, offset = 0, start * images[0].nbytes
        while done < len(content):
            done += os.pwrite(handle, content[done:], offset + done)
    finally:
        os.close(handle)
    return digest_of(content)
