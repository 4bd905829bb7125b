"""Read many image files in several threads, and remember what was read.

The images of a user are kept on disk, so that another division of them reads nothing, and only new files are read when
some are added:

    <data root>/prepared/files-<digest of folder and rules>/{pixels.npy, readings.json, digest.json}

The folder can be deleted at any time. This module does not need torch.
"""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ltbench.core import checksums
from ltbench.core.folders import cores
from ltbench.errors import DataError
from ltbench.image_files.decode import RULES, Reading, Rules, formats, read_image, warnings_by_thread
from ltbench.image_files.names import plain

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Bytes = npt.NDArray[np.uint8]

_IN_MEMORY = 1 << 28
"""Larger arrays, in bytes, are mapped from a temporary file."""
_THREADS = 8
"""At most; each may hold a large photo."""
_CHUNK = 32
"""Files that a thread reads before it takes more."""
_PORTION = 512
"""Files after which those that were read may be kept"""
_KEEP_SECONDS = 60.0
"""Time after which they are, so that a killed process loses little"""
_KEEP_SHARE = 0.05
"""Share of the time that this takes at most"""
_LISTED = 5
_ENOUGH = 20
"""Strict reading stops after this many unreadable files."""
_log = logging.getLogger(__name__)


class Source(msgspec.Struct, frozen=True):
    """An image file, or an image inside a file of many."""

    path: Path
    """The file, or the name of an image inside another file"""
    content: Callable[[], bytes] | None = None
    """Returns the bytes of an image inside another file; called by several threads"""


def empty_images(number: int, rules: Rules, folder: Path) -> Bytes:
    """Return an array uint8 [number, channels, size, size]; a large one is mapped from a deleted file in `folder`."""
    import numpy as np

    shape = (number, rules.channels, rules.size, rules.size)
    if (total := int(np.prod(shape))) > _IN_MEMORY and hasattr(os, "posix_fallocate"):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder) as file:
                # Reserve the space: writing to a mapped page on a full disk would kill the process.
                os.posix_fallocate(file.fileno(), 0, total)
                return np.memmap(file, np.uint8, "r+", shape=shape)
        except OSError:
            pass  # no space or read-only: use memory
    return np.empty(shape, np.uint8)


def read_images(
    sources: Sequence[Source], into: Bytes, rules: Rules, *, rows: Sequence[int] | None = None, strict: bool = False
) -> list[Reading]:
    """Read images into an array uint8 [N, channels, size, size]; return what was found in each file.

    The pixels of an unreadable file are 0. rows: where in the array they go; in their order if None. strict: whether
    reading stops after the first `_ENOUGH` unreadable files; then fewer readings than files are returned.
    """
    formats()  # Pillow looks for its formats once, which is not for several threads.

    def read(start: int) -> list[Reading]:
        found = []
        for number, source in enumerate(sources[start : start + _CHUNK], start):
            pixels, reading = read_image(source.content or source.path, rules)
            into[number if rows is None else rows[number]] = 0 if pixels is None else pixels
            found.append(reading)
        return found

    readings: list[Reading] = []
    with warnings_by_thread(), ThreadPoolExecutor(min(cores(), _THREADS)) as pool:
        try:
            unreadable = 0
            for chunk in pool.map(read, range(0, len(sources), _CHUNK)):
                for reading in chunk:
                    readings.append(reading)
                    # Files without a known white do not count: the error suggests the highest value of all files.
                    unreadable += bool(reading.problem) and not reading.needs_white
                    if strict and unreadable == _ENOUGH:
                        return readings
        finally:
            # Otherwise an interrupt would wait for all files.
            pool.shutdown(cancel_futures=True)
    return readings


class _Kept(msgspec.Struct, frozen=True):
    """What was found in files, in the order of the kept pixels."""

    versions: list[bytes]
    """Empty for a file that is not read yet"""
    readings: list[Reading]


def read_or_kept(
    sources: Sequence[Source], versions: Sequence[bytes], rules: Rules, root: Path, place: Path
) -> tuple[Bytes, list[Reading]]:
    """Return the images of files, and what was found in each; read those that are not kept from before.

    versions: what changes with a file, for each of them; place: the folder of the files.
    """
    folder = root / "prepared" / f"files-{checksums.digest(f'{RULES}/{rules}/{place.resolve()}'.encode(), 32)}"
    pixels, kept = _kept(folder)
    if kept.versions == list(versions):
        return pixels, kept.readings
    known = {version: row for row, version in enumerate(kept.versions)}
    into = empty_images(len(sources), rules, folder.parent)
    readings: list[Reading] = [Reading()] * len(sources)
    new: list[int] = []
    for row, version in enumerate(versions):
        if version in known:
            into[row], readings[row] = pixels[known[version]], kept.readings[known[version]]
        else:
            new.append(row)
    unread = set(new)
    due = time.monotonic() + _KEEP_SECONDS
    for start in range(0, len(new), _PORTION):
        rows = new[start : start + _PORTION]
        for row, reading in zip(rows, read_images([sources[row] for row in rows], into, rules, rows=rows), strict=True):
            readings[row] = reading
        unread.difference_update(rows)
        if not unread or time.monotonic() > due:
            began = time.monotonic()
            _keep(folder, into, _Kept([b"" if row in unread else one for row, one in enumerate(versions)], readings))
            due = time.monotonic() + max(_KEEP_SECONDS, (time.monotonic() - began) / _KEEP_SHARE)
    return into, readings


def _kept(folder: Path) -> tuple[Any, _Kept]:
    """Return the images that are kept in a folder; none if there is no such folder, or it is damaged."""
    import numpy as np

    with suppress(OSError, ValueError, msgspec.DecodeError):
        if not checksums.examine(folder, folder.name):
            pixels = np.load(folder / "pixels.npy", mmap_mode="r", allow_pickle=False)
            return pixels, msgspec.json.decode((folder / "readings.json").read_bytes(), type=_Kept)
    return None, _Kept([], [])


def _keep(folder: Path, pixels: Bytes, kept: _Kept) -> None:
    """Write images completely or not at all; they replace those before. On a full or read-only disk, keep nothing."""
    import numpy as np

    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as temporary:
            staging = Path(temporary) / "new"
            staging.mkdir()
            np.save(staging / "pixels.npy", pixels)
            (staging / "readings.json").write_bytes(msgspec.json.encode(kept))
            checksums.seal(staging, folder.name)
            with suppress(FileNotFoundError):
                folder.rename(Path(temporary) / "before")
            staging.rename(folder)
    except OSError as error:  # also if another process was faster
        _log.info("the images are not kept: cannot write %s (%s)", folder, error)


def gathered(pixels: Bytes, rows: Sequence[int], rules: Rules, folder: Path) -> Any:
    """Return the images of some rows, in their order."""
    into = empty_images(len(rows), rules, folder)
    for start in range(0, len(rows), 256):
        part = rows[start : start + 256]
        into[start : start + len(part)] = pixels[list(part)]
    return into


def unreadable(failed: Sequence[tuple[Path, Reading]], total: int, whiter: str) -> DataError:
    """Return the error for unreadable files.

    total: number of files that were to be read; whiter: label of the data set with a sufficient `white`; empty if it has
    no such parameter.
    """
    (first, why), *others = failed
    name_white = f"state the value of white, as in {whiter}" if whiter else "store it as 8 bits"
    fixes = dict.fromkeys(name_white if one.needs_white else one.fix for _, one in failed)
    number = "1 other" if len(others) == 1 else f"{len(others)} others"
    stopped = sum(not one.needs_white for _, one in failed) == _ENOUGH and len(failed) < total
    more = f", nor can {number}" + " or more" * stopped if others else ""
    listed = "; ".join(f"{plain(str(file))}: {one.problem}" for file, one in others[: _LISTED - 1])
    return DataError(
        f"{plain(str(first))} cannot be read as an image{more}",
        why=why.problem + (f"\n       {listed}" if listed else ""),
        fix="; ".join(fixes),
    )
