"""What jobs took, by their shape: kept in the store, so that a prediction needs no record.

    <store>/speeds/<host>.jsonl    lines that are only ever appended, by any number of processes of that host

A block of lines is appended by one call of the system and begins with a line's end, so a writer that was cut short
costs its own last line and nothing of the next one's.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from ltbench.core import atomic_files
from ltbench.core.atomic_files import os_errors_as_store_errors
from ltbench.timing.job_shape import Shape

MEMORY = 30.0
"""About how many jobs of a shape a speed is the mean of: the last ones, as machines and versions change."""
_LARGE = 4 << 20
"""Bytes of a file from which on it is summed up before more is appended."""


class SpeedSample(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Jobs of one shape: how many, how long they took together, and their work (see `Shapes`)."""

    shape: Shape
    jobs: float
    seconds: float
    work: float
    macs: float = 0.0
    """Multiply-adds of an image, where they are known."""


class _Sum(msgspec.Struct):
    jobs: float = 0.0
    seconds: float = 0.0
    work: float = 0.0

    def add(self, jobs: float, seconds: float, work: float, memory: float) -> None:
        kept = max(0.5, 1.0 - jobs / memory)
        self.jobs, self.seconds, self.work = (
            self.jobs * kept + jobs,
            self.seconds * kept + seconds,
            self.work * kept + work,
        )

    @property
    def rate(self) -> float | None:
        return self.seconds / self.work if self.work > 0 else None


class Speeds:
    """Seconds per unit of work, by shape and by every wider shape."""

    def __init__(self, lines: Iterable[SpeedSample] = (), memory: float = MEMORY) -> None:
        """Learn from lines, the oldest first. memory: about how many jobs a speed is the mean of."""
        self._memory = memory
        self._jobs: dict[Shape, _Sum] = {}
        self._by_macs: dict[Shape, _Sum] = {}
        self._macs: dict[tuple[str, int, int], float] = {}
        self._exact: dict[Shape, SpeedSample] = {}
        for line in lines:
            self.add(line)

    def add(self, line: SpeedSample) -> None:
        """Learn from jobs of one shape."""
        for shape in dict.fromkeys(line.shape.wider()):
            self._jobs.setdefault(shape, _Sum()).add(line.jobs, line.seconds, line.work, self._memory)
        if line.macs:
            self._macs[line.shape.place] = line.macs
        macs = self._macs.get(line.shape.place)
        if macs:
            for shape in dict.fromkeys(line.shape.by_multiply_adds()):
                self._by_macs.setdefault(shape, _Sum()).add(line.jobs, line.seconds, line.work * macs, self._memory)
        exact = self._jobs[line.shape]
        self._exact[line.shape] = SpeedSample(
            shape=line.shape, jobs=exact.jobs, seconds=exact.seconds, work=exact.work, macs=macs or 0.0
        )

    def rate(self, shape: Shape) -> float | None:
        """Return the seconds of a unit of work, from jobs that `shape` stands for."""
        return self._jobs[shape].rate if shape in self._jobs else None

    def rate_by_multiply_adds(self, shape: Shape, macs: float) -> float | None:
        """Return the same for images of so many multiply-adds. shape: of `Shape.by_multiply_adds`."""
        rate = self._by_macs[shape].rate if shape in self._by_macs else None
        return None if rate is None else rate * macs

    def macs(self, shape: Shape) -> float | None:
        """Return the multiply-adds of an image: measured, or those at another size times the ratio of the areas."""
        if shape.place in self._macs:
            return self._macs[shape.place]
        sizes = [(size, macs) for (model, _, size), macs in self._macs.items() if model == shape.model]
        if not sizes or not shape.size:
            return None
        size, macs = min(sizes, key=lambda one: abs(one[0] - shape.size))
        return macs * (shape.size / size) ** 2

    def lines(self) -> Iterator[SpeedSample]:
        """Yield what is known of each shape, summed up: learning that comes to the same."""
        yield from self._exact.values()


def read(folder: Path) -> Iterator[SpeedSample]:
    """Yield every line of a folder of speeds, those of this host last, so that they count most.

    A line that is not whole is left out; so is a file that cannot be read.
    """
    mine = _file(folder)
    for path in sorted(folder.glob("*.jsonl"), key=lambda path: (path == mine, path.name)):
        with contextlib.suppress(OSError):
            yield from _samples(path)


def append(folder: Path, lines: Iterable[SpeedSample]) -> None:
    """Append lines to the file of this host. Raises `StoreError` where it cannot be written."""
    block = b"".join(b"\n" + msgspec.json.encode(line) for line in lines) + b"\n"
    path = _file(folder)
    with os_errors_as_store_errors("what jobs took cannot be noted", path):
        folder.mkdir(parents=True, exist_ok=True)
        if path.exists() and path.stat().st_size > _LARGE:
            _sum_up(path)
        handle = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o666)
        try:
            os.write(handle, block)
        finally:
            os.close(handle)


def _sum_up(path: Path) -> None:
    """Replace a file by its sums. What another process appends at this very moment is lost, and only that."""
    sums = Speeds(_samples(path)).lines()
    fresh = path.with_name(f".{path.stem}-{uuid.uuid4().hex}")
    try:
        atomic_files.write(fresh, b"\n".join(msgspec.json.encode(line) for line in sums) + b"\n")
        fresh.replace(path)
    finally:
        atomic_files.remove(fresh)


def _samples(path: Path) -> Iterator[SpeedSample]:
    for text in path.read_bytes().split(b"\n"):
        # Earlier versions also noted estimates from a few steps, which would count like whole jobs here.
        if text and b'"probe":true' not in text:
            with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
                yield _decoder.decode(text)


def _file(folder: Path) -> Path:
    return folder / f"{re.sub(r'[^A-Za-z0-9._-]', '_', socket.gethostname())}.jsonl"


_decoder = msgspec.json.Decoder(SpeedSample)
