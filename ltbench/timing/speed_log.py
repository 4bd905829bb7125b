"""The durations of past jobs by shape, stored so that a prediction needs no records.

    <store>/speeds/<host>.jsonl    appended to by any number of processes of that host

A block of lines is appended by one system call and begins with a newline, so a writer that is killed only loses its own
last line.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from ltbench.core import atomic_files
from ltbench.core.atomic_files import os_errors_as_store_errors
from ltbench.timing.job_shape import Shape

MEMORY = 30.0
"""Number of recent jobs over which the speed of a shape is averaged, because machines and versions change."""
_LARGE = 4 << 20
"""File size in bytes above which a file is compacted before more is appended."""


class SpeedSample(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Jobs of one shape: their number, total seconds, and work (see `Shapes`)."""

    shape: Shape
    jobs: float
    seconds: float
    work: float
    macs: float = 0.0
    """Multiply-adds of an image; 0 if unknown."""


class _Sum(msgspec.Struct):
    jobs: float = 0.0
    seconds: float = 0.0
    work: float = 0.0

    def add(self, sample: SpeedSample, memory: float, scale: float = 1.0) -> None:
        kept = max(0.5, 1.0 - sample.jobs / memory)
        self.jobs = self.jobs * kept + sample.jobs
        self.seconds = self.seconds * kept + sample.seconds
        self.work = self.work * kept + sample.work * scale

    @property
    def rate(self) -> float | None:
        return self.seconds / self.work if self.work > 0 else None


class Speeds:
    """Seconds per unit of work, by shape and by every wider shape."""

    def __init__(self, samples: Iterable[SpeedSample] = (), memory: float = MEMORY) -> None:
        """Learn from samples, oldest first. memory: number of jobs to average over."""
        self._memory = memory
        self._jobs: dict[Shape, _Sum] = {}
        self._by_macs: dict[Shape, _Sum] = {}
        self._macs: dict[tuple[str, int, int], float] = {}
        self._exact: dict[Shape, float] = {}
        """The shapes of the samples, with their multiply-adds."""
        for sample in samples:
            self.add(sample)

    def add(self, sample: SpeedSample) -> None:
        """Learn from jobs of one shape."""
        for shape in dict.fromkeys(sample.shape.wider()):
            self._jobs.setdefault(shape, _Sum()).add(sample, self._memory)
        if sample.macs:
            self._macs[sample.shape.place] = sample.macs
        macs = self._macs.get(sample.shape.place)
        if macs:
            for shape in dict.fromkeys(sample.shape.by_multiply_adds()):
                self._by_macs.setdefault(shape, _Sum()).add(sample, self._memory, macs)
        self._exact[sample.shape] = macs or 0.0

    def nearest_rate(self, shape: Shape) -> float | None:
        """Return the rate of the shape, or of the narrowest known wider one."""
        return next((rate for wide in shape.wider() if (rate := self.rate(wide)) is not None), None)

    def rate(self, shape: Shape) -> float | None:
        """Return the seconds per unit of work for jobs that match `shape`; None if unknown."""
        return self._jobs[shape].rate if shape in self._jobs else None

    def rate_by_multiply_adds(self, shape: Shape, macs: float) -> float | None:
        """Return the same for images with this number of multiply-adds. shape: from `Shape.by_multiply_adds`."""
        rate = self._by_macs[shape].rate if shape in self._by_macs else None
        return None if rate is None else rate * macs

    def macs(self, shape: Shape) -> float | None:
        """Return the multiply-adds of an image: measured, or scaled by area from another size of the same model."""
        if shape.place in self._macs:
            return self._macs[shape.place]
        sizes = [(size, macs) for (model, _, size), macs in self._macs.items() if model == shape.model]
        if not sizes or not shape.size:
            return None
        size, macs = min(sizes, key=lambda known: abs(known[0] - shape.size))
        return macs * (shape.size / size) ** 2

    def summed(self) -> Iterator[SpeedSample]:
        """Yield one sample per shape, the sum of its samples."""
        for shape, macs in self._exact.items():
            yield SpeedSample(shape=shape, macs=macs, **msgspec.structs.asdict(self._jobs[shape]))


def read(folder: Path) -> Iterator[SpeedSample]:
    """Yield the samples of a folder, those of this host last, so that they count most.

    Incomplete lines and unreadable files are skipped.
    """
    own = _file(folder)
    for path in sorted(folder.glob("*.jsonl"), key=lambda path: (path == own, path.name)):
        with contextlib.suppress(OSError):
            yield from _samples(path)


def append(folder: Path, samples: Iterable[SpeedSample]) -> None:
    """Append samples to the file of this host. Raises `StoreError` if it cannot be written."""
    block = b"".join(b"\n" + msgspec.json.encode(sample) for sample in samples) + b"\n"
    path = _file(folder)
    with os_errors_as_store_errors("the durations of jobs cannot be written", path):
        folder.mkdir(parents=True, exist_ok=True)
        if path.exists() and path.stat().st_size > _LARGE:
            _sum_up(path)
        handle = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o666)
        try:
            os.write(handle, block)
        finally:
            os.close(handle)


def _sum_up(path: Path) -> None:
    """Compact a file. Lines that another process appends at the same time are lost."""
    sums = Speeds(_samples(path)).summed()
    atomic_files.replace(path, b"\n".join(msgspec.json.encode(sample) for sample in sums) + b"\n")


def _samples(path: Path) -> Iterator[SpeedSample]:
    for text in path.read_bytes().split(b"\n"):
        if text:
            with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
                yield _decoder.decode(text)


def _file(folder: Path) -> Path:
    return folder / f"{re.sub(r'[^A-Za-z0-9._-]', '_', socket.gethostname())}.jsonl"


_decoder = msgspec.json.Decoder(SpeedSample)
