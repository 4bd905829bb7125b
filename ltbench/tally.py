"""How far a run is: counts, events, and how long the rest will take."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from typing import Literal

import msgspec

from ltbench.cells import Job

_FIRST_GUESS = {"predict": 0.3, "cell": 0.02}
"""Seconds of a job of a kind of which none has been measured yet; a training is not guessed at."""


class Tally(msgspec.Struct, kw_only=True):
    """Counts of a run as it goes on. Read it, do not write it."""

    cells: int
    """Cells that were asked for."""
    slots: int
    weigh: Callable[[Job], float]
    cached: int = 0
    """Cells whose record was there at the start."""
    done: int = 0
    """Cells with a record of success, those of the start included."""
    failed: list[str] = []
    """Cells that failed."""
    jobs: int = 0
    """Jobs that had to be done."""
    jobs_done: int = 0
    found: int = 0
    """Jobs that another process did meanwhile."""
    busy: int = 0
    """Jobs that another process is at now."""
    ran: Counter[str] = msgspec.field(default_factory=Counter)
    """Jobs done here, by kind."""
    seconds: defaultdict[str, float] = msgspec.field(default_factory=lambda: defaultdict(float))
    """Seconds of work done here, by kind."""
    started: float = msgspec.field(default_factory=time.monotonic)
    _weight_left: defaultdict[str, float] = msgspec.field(default_factory=lambda: defaultdict(float))
    _measured: dict[str, tuple[float, float]] = {}
    """Seconds and weight of the jobs that the prediction goes by, by kind."""
    _out: dict[str, tuple[Job, float, frozenset[str]]] = {}

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started

    @property
    def running(self) -> int:
        """Cells that something is being done for right now."""
        return len(frozenset[str]().union(*(cells for _, _, cells in self._out.values())))

    @property
    def jobs_running(self) -> int:
        """Jobs handed to workers."""
        return len(self._out)

    def add(self, jobs: Iterable[Job]) -> None:
        """Count jobs that have to be done."""
        for job in jobs:
            self.jobs += 1
            self._weight_left[job.kind] += self.weigh(job)

    def begin(self, job: Job, cells: frozenset[str]) -> None:
        """Note that a worker has a job, on which those cells wait."""
        self._out[job.key] = (job, time.monotonic(), cells)

    def end(self, key: str) -> None:
        """Note that the worker has it no more."""
        self._out.pop(key, None)

    def finish(self, job: Job, *, seconds: float | None) -> None:
        """Count a job that is done, here in so many seconds of work, or elsewhere."""
        self.jobs_done += 1
        self.drop(job)
        if seconds is None:
            self.found += 1
        else:
            self.ran[job.kind] += 1
            self.seconds[job.kind] += seconds
            self._measure(job, seconds)
        if job.kind == "cell":
            self.done += 1

    def drop(self, job: Job) -> None:
        """Count a job no more among those that are left."""
        self._weight_left[job.kind] -= self.weigh(job)

    def estimate(self, job: Job) -> float | None:
        """Return the seconds that a job will take, from those of its kind so far; None where nothing is known."""
        rate = self._rate(job.kind)
        return None if rate is None else rate * self.weigh(job)

    def _measure(self, job: Job, seconds: float) -> None:
        # The first job of each worker also waits for libraries to load, so it counts only while there is no other.
        before = (0.0, 0.0) if self.ran[job.kind] == self.slots + 1 else self._measured.get(job.kind, (0.0, 0.0))
        self._measured[job.kind] = before[0] + seconds, before[1] + self.weigh(job)

    def _rate(self, kind: str) -> float | None:
        seconds, weight = self._measured.get(kind, (0.0, 0.0))
        return seconds / weight if weight else _FIRST_GUESS.get(kind)

    @property
    def eta(self) -> float | None:
        """Seconds that the rest will take; None until one training has been measured."""
        total = 0.0
        for kind, weight in self._weight_left.items():
            if weight <= 1e-9:
                continue
            rate = self._rate(kind)
            if rate is None:
                return None
            total += rate * weight
        now = time.monotonic()
        for job, since, _ in self._out.values():
            total -= min(now - since, self.estimate(job) or 0.0)
        return max(0.0, total) / self.slots


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened in a run. `tally` is alive: it shows the run as it is when it is read."""

    kind: Literal["begin", "tick", "done", "found", "busy", "failed", "retry", "remake", "stopping", "end"]
    tally: Tally
    job: Job | None = None
    note: str = ""


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What a run came to. Counts are of cells where nothing else is said."""

    cells: int
    done: int
    """With a record of success, the cached ones included."""
    cached: int
    failed: tuple[str, ...]
    unfinished: int
    """Neither done nor failed: the time was over."""
    ran: dict[str, int]
    """Jobs done here, by kind."""
    found: int
    """Jobs that another process did meanwhile."""
    seconds: float
