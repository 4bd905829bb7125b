"""Read many image files in several threads or processes, and keep their pixels in a file.

Another division of the same images reads nothing, and only new files are read when some are added. See
`ltbench.image_files.pixel_file` for the folder, `<data root>/prepared/files-<digest of folder and rules>`. This module does not
need torch.
"""

from __future__ import annotations

import fcntl
import logging
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import msgspec

from ltbench.core import checksums
from ltbench.core.folders import cores
from ltbench.core.spawning import Spawning
from ltbench.errors import DataError
from ltbench.image_files.decode import RULES, Reading, Rules, formats, read_image, warnings_by_thread
from ltbench.image_files.names import plain
from ltbench.image_files.pixel_file import Chunk, PixelFile, write_rows
from ltbench_plugins.datasets._content import image_sums

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Bytes = npt.NDArray[np.uint8]

T = TypeVar("T")
_IN_MEMORY = 1 << 30
"""Bytes of images that may be in memory if the data root cannot be written"""
_THREADS = 8
"""At most; each may hold a large photo."""
_CHUNK = 32
"""Files that a thread or process reads before it takes more."""
_MANY = 2_000
"""New files that are worth starting processes. Threads share the interpreter, so they stop gaining at about three."""
_AHEAD = 4
"""Chunks for each of them that are handed out"""
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


class Read(NamedTuple):
    """The images of files, what was found in them, and their sums; see `Chunk`."""

    pixels: Any
    """uint8 [N, channels, size, size]; 0 for a file that cannot be read"""
    readings: list[Reading]
    """Without a problem for a file that strict reading did not get to"""
    sums: list[list[int]]


def read_images(sources: Sequence[Source], rules: Rules, *, strict: bool = False) -> Read:
    """Read images into memory. strict: whether reading stops after `_ENOUGH` unreadable files."""
    import numpy as np

    images = np.zeros((len(sources), rules.channels, rules.size, rules.size), np.uint8)
    readings, sums = [Reading()] * len(sources), [[0] * (2 * rules.channels)] * len(sources)
    chunks = _chunks(range(len(sources)))
    with _pool(sources) as pool:
        for rows, (pixels, found, totals) in _in_order(
            pool, partial(_read, rules=rules), chunks, lambda rows: [sources[row] for row in rows]
        ):
            images[list(rows)] = pixels
            for row, reading, total in zip(rows, found, totals, strict=True):
                readings[row], sums[row] = reading, total
            if strict and _too_many(readings):
                break
    return Read(images, readings, sums)


def _too_many(readings: Iterable[Reading]) -> bool:
    # Files without a known white do not count: the error suggests the highest value of all files.
    return sum(bool(reading.problem) and not reading.needs_white for reading in readings) >= _ENOUGH


def _chunks(rows: Sequence[int]) -> list[Sequence[int]]:
    return [rows[start : start + _CHUNK] for start in range(0, len(rows), _CHUNK)]


def _read(sources: Sequence[Source], rules: Rules) -> tuple[Bytes, list[Reading], list[list[int]]]:
    """Return the images of a chunk, what was found in the files, and sums."""
    import numpy as np

    images = np.zeros((len(sources), rules.channels, rules.size, rules.size), np.uint8)
    readings = []
    for image, source in zip(images, sources, strict=True):
        pixels, reading = read_image(source.content or source.path, rules)
        if pixels is not None:
            image[:] = pixels
        readings.append(reading)
    return images, readings, [image_sums(image) for image in images]


def _read_into(
    task: tuple[Sequence[Source], int], rules: Rules, pixels: Path
) -> tuple[list[Reading], list[list[int]], str]:
    """Write the images of a chunk from a row on; return what was found in the files, sums, and the digest of the pixels."""
    sources, start = task
    images, readings, sums = _read(sources, rules)
    return readings, sums, write_rows(pixels, start, images)


def read_or_kept(
    sources: Sequence[Source], versions: Sequence[bytes], rules: Rules, root: Path, place: Path, *, strict: bool = False
) -> Read:
    """Return the images of files, which stay on disk; read those that are not kept from before.

    versions: what changes with a file, for each of them; place: the folder of the files. Few images are read into memory
    if the data root cannot be written to. Raises `DataError` for many.
    """
    from ltbench.image_files.image_rows import ImageRows

    folder = root / "prepared" / f"files-{checksums.digest(f'{RULES}/{rules}/{place.resolve()}'.encode(), 32)}"
    shape = (rules.channels, rules.size, rules.size)
    file = PixelFile(folder, shape)
    try:
        with file.adding():
            known = file.kept()
            missing = {
                version: source for version, source in zip(versions, sources, strict=True) if version not in known
            }
            if missing:
                _add(list(missing.values()), list(missing), file, rules, strict=strict)
                file.stamp()
                known = file.kept()
    except OSError as error:
        size = len(sources) * rules.channels * rules.size**2
        if size > _IN_MEMORY:
            raise DataError(
                f"the images of {plain(str(place))} cannot be prepared on disk",
                where=str(folder),
                why=f"{error.strerror or error}; they take {size / 2**30:.1f} GiB",
                fix="free some space, a smaller size, or --data-root FOLDER (or LTBENCH_DATA) on another disk; what has been "
                "read is kept, and the same command goes on",
            ) from error
        _log.info("the images are not kept: cannot write %s (%s)", folder, error)
        return read_images(sources, rules, strict=strict)
    # Strict reading may have stopped.
    rows = [known[version].row if version in known else 0 for version in versions]
    readings = [known[version].reading if version in known else Reading() for version in versions]
    sums = [known[version].sums if version in known else [] for version in versions]
    return Read(ImageRows(file.pixels, shape, rows), readings, sums)


def _add(sources: Sequence[Source], versions: Sequence[bytes], file: PixelFile, rules: Rules, *, strict: bool) -> None:
    """Read files and keep their images. Raises `OSError` if the disk is full, before anything is read if it can tell."""
    with file.reserved(len(sources)) as first:
        _add_from(first, sources, versions, file, rules, strict=strict)


def _add_from(
    first: int, sources: Sequence[Source], versions: Sequence[bytes], file: PixelFile, rules: Rules, *, strict: bool
) -> None:
    failed: list[Reading] = []
    task = partial(_read_into, rules=rules, pixels=file.pixels)
    with _pool(sources, file.writers) as pool, _progress(len(sources)) as advance:
        for rows, (readings, sums, digest) in _in_order(
            pool, task, _chunks(range(len(sources))), lambda rows: ([sources[row] for row in rows], first + rows[0])
        ):
            part = [versions[row] for row in rows]
            file.add(Chunk(start=first + rows[0], versions=part, readings=readings, sums=sums, digest=digest))
            advance(len(rows))
            failed += [reading for reading in readings if reading.problem]
            if strict and _too_many(failed):
                return


def _in_order(
    pool: Executor, task: Callable[[Any], T], chunks: Sequence[Sequence[int]], argument: Callable[[Sequence[int]], Any]
) -> Iterator[tuple[Sequence[int], T]]:
    """Yield each chunk with the result of the task, in order; a few chunks are ahead."""
    ahead = _AHEAD * min(cores(), len(chunks) or 1)
    running: deque[tuple[Sequence[int], Future[T]]] = deque()
    try:
        for rows in chunks:
            running.append((rows, pool.submit(task, argument(rows))))
            if len(running) >= ahead:
                done, future = running.popleft()
                yield done, future.result()
        while running:
            done, future = running.popleft()
            yield done, future.result()
    except BrokenProcessPool as error:
        raise DataError(
            "a process that read images was killed", why="perhaps there was not enough memory",
            fix="the same command goes on where it was; with a smaller limit of cores (taskset) fewer images are read at once",
        ) from error  # fmt: skip
    finally:
        # Otherwise an interrupt would wait for all files.
        pool.shutdown(cancel_futures=True)


@contextmanager
def _pool(sources: Sequence[Source], writers: Path | None = None) -> Iterator[Executor]:
    """Provide processes for many files, and threads for few, or for images inside other files.

    writers: what processes lock; without it there are only threads, which share memory.
    """
    formats()  # Pillow looks for its formats once, which is not for several threads.
    workers = max(1, cores())
    in_files = not any(source.content for source in sources)
    # A daemonic process, such as a worker of Dask, may have no children.
    if writers and len(sources) >= _MANY and in_files and workers > 1 and not multiprocessing.current_process().daemon:
        with ProcessPoolExecutor(
            workers, mp_context=Spawning(), initializer=_start_process, initargs=(writers,)
        ) as processes:
            yield processes
    else:
        with warnings_by_thread(), ThreadPoolExecutor(min(workers, _THREADS)) as threads:
            yield threads


def _start_process(writers: Path) -> None:
    """Leave Ctrl-C to the parent, end with it, and collect warnings for the rest of this process's life."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["OMP_NUM_THREADS"] = "1"  # of torch, which resizes; it is not imported yet
    fcntl.flock(os.open(writers, os.O_RDONLY), fcntl.LOCK_SH)  # until this process ends
    parent = multiprocessing.parent_process()
    assert parent is not None
    if not parent.is_alive():
        os._exit(1)

    def end_with_parent() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()
    warnings_by_thread().__enter__()
    formats()


@contextmanager
def _progress(number: int) -> Iterator[Callable[[int], None]]:
    """Show a progress bar for many images, if there is a terminal."""
    if number < _MANY or not sys.stderr.isatty():
        yield lambda _done: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("reading images", total=number)
        yield lambda done: bar.advance(task, done)


def unreadable(failed: Sequence[tuple[Path, Reading]], total: int, whiter: str) -> DataError:
    """Return the error for unreadable files.

    total: number of files that were to be read; whiter: label of the data set with a sufficient `white`; empty if it has
    no such parameter.
    """
    stopped = sum(not one.needs_white for _, one in failed) >= _ENOUGH and len(failed) < total
    failed = failed[:_ENOUGH] if stopped else failed
    (first, why), *others = failed
    name_white = f"state the value of white, as in {whiter}" if whiter else "store it as 8 bits"
    fixes = dict.fromkeys(name_white if one.needs_white else one.fix for _, one in failed)
    number = "1 other" if len(others) == 1 else f"{len(others)} others"
    more = f", nor can {number}" + " or more" * stopped if others else ""
    listed = "; ".join(f"{plain(str(file))}: {one.problem}" for file, one in others[: _LISTED - 1])
    return DataError(
        f"{plain(str(first))} cannot be read as an image{more}",
        why=why.problem + (f"\n       {listed}" if listed else ""),
        fix="; ".join(fixes),
    )
