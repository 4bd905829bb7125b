"""Read many image files in several threads, and remember what was read.

Images that are divided into training and test images afterwards, in several ways perhaps, are kept on disk:

    <data root>/prepared/files-<digest>/{pixels.npy, readings.json, digest.json}

The folder can be deleted at any time. This module does not need torch.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ltbench.core import checksums
from ltbench.core.folders import cores
from ltbench.errors import DataError
from ltbench_plugins.datasets._decode import Reading, Rules, formats, read_image, warnings_by_thread
from ltbench_plugins.datasets._names import plain

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


def read_images(sources: Sequence[Source], into: Bytes, rules: Rules, *, strict: bool = False) -> list[Reading]:
    """Read images into an array uint8 [N, channels, size, size]; return what was found in each file.

    The pixels of an unreadable file are 0. strict: whether reading stops after the first `_ENOUGH` unreadable files;
    then fewer readings than files are returned.
    """
    formats()  # Pillow looks for its formats once, which is not for several threads.

    def read(start: int) -> list[Reading]:
        found = []
        for number, source in enumerate(sources[start : start + _CHUNK], start):
            pixels, reading = read_image(source.content or source.path, rules)
            into[number] = 0 if pixels is None else pixels
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


def read_or_kept(sources: Sequence[Source], rules: Rules, root: Path, key: str) -> tuple[Bytes, list[Reading]]:
    """Return the images of files, and what was found; read them only if they are not kept under this key."""
    import numpy as np

    folder = root / "prepared" / f"files-{key}"
    with suppress(OSError, ValueError, msgspec.DecodeError):
        if not checksums.examine(folder, folder.name):
            pixels = np.load(folder / "pixels.npy", mmap_mode="r", allow_pickle=False)
            return pixels, msgspec.json.decode((folder / "readings.json").read_bytes(), type=list[Reading])
    into = empty_images(len(sources), rules, folder.parent)
    readings = read_images(sources, into, rules)
    try:
        _keep(folder, into, readings)
    except OSError as error:
        _log.info("the images are not kept for other splits: cannot write %s (%s)", folder, error)
    return into, readings


def _keep(folder: Path, pixels: Bytes, readings: Sequence[Reading]) -> None:
    """Write images completely or not at all; the first of several writers wins."""
    import numpy as np

    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as temporary:
        staging = Path(temporary) / "new"
        staging.mkdir()
        np.save(staging / "pixels.npy", pixels)
        (staging / "readings.json").write_bytes(msgspec.json.encode(readings))
        checksums.seal(staging, folder.name)
        with suppress(FileNotFoundError):
            folder.rename(Path(temporary) / "damaged")
        with suppress(OSError):
            staging.rename(folder)


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
