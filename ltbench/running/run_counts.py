"""How far a run is: counts, events, and how long the rest will take."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

import msgspec

from ltbench.core.spec import Job
from ltbench.timing.estimate import Prediction
from ltbench.timing.makespan import makespan

_CHEAP = 0.002
"""Seconds of a look ahead that may be made whenever someone asks."""
_NOT_OVER = 1.25
"""What is late is not over either: it is taken to need a quarter more than it has had."""
_RARE = 100
"""A dearer one is made again after so many times what it cost."""


class RunCounts(msgspec.Struct, kw_only=True):
    """Counts of a run as it goes on. Read it, do not write it."""

    cells: int
    """Cells that were asked for."""
    slots: int
    prediction: Prediction = msgspec.field(default_factory=Prediction)
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
    first: tuple[float, Job] | None = None
    """The first job that was done here, and how many seconds after the start."""
    started: float = msgspec.field(default_factory=time.monotonic)
    left: dict[str, Job] = {}
    """Jobs that are neither done nor given up, parents first."""
    _out: dict[str, tuple[Job, float, frozenset[str]]] = {}
    _looked: tuple[float, float, float | None] = (0.0, -1.0, None)
    """When the end was last looked ahead to, how long that took, and when it will be."""

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
            self.left[job.key] = job

    def begin(self, job: Job, cells: frozenset[str]) -> None:
        """Note that a worker has a job, on which those cells wait."""
        self._out[job.key] = (job, time.monotonic(), cells)

    def end(self, key: str) -> None:
        """Note that the worker has it no more."""
        self._out.pop(key, None)

    def finish(self, job: Job, *, seconds: float | None, cold: bool = False) -> None:
        """Count a job that is done, here in so many seconds of work, or elsewhere. cold: see `Prediction.learn`."""
        self.jobs_done += 1
        self.drop(job)
        if seconds is None:
            self.found += 1
        else:
            self.first = self.first or (self.elapsed, job)
            self.ran[job.kind] += 1
            self.seconds[job.kind] += seconds
            self.prediction.learn(job, seconds, cold=cold)
        if job.kind == "cell":
            self.done += 1

    def drop(self, job: Job) -> None:
        """Count a job no more among those that are left."""
        self.left.pop(job.key, None)

    def estimate(self, job: Job) -> float | None:
        """Return the seconds that a job will take; None where nothing is known."""
        return self.prediction.seconds(job)

    @property
    def in_flight(self) -> list[tuple[Job, float]]:
        """The jobs that workers have, and for how many seconds."""
        now = time.monotonic()
        return [(job, now - since) for job, since, _ in self._out.values()]

    @property
    def worked(self) -> float:
        """Seconds of work done here, what is in flight included."""
        return sum(self.seconds.values()) + sum(seconds for _, seconds in self.in_flight)

    @property
    def eta(self) -> float | None:
        """Seconds that the rest will take; None while nothing is known of some training."""
        now = time.monotonic()
        looked, cost, end = self._looked
        if cost < _CHEAP or now - looked > _RARE * cost or not self.left:
            before = time.thread_time()
            rest = self._look_ahead()
            end = None if rest is None else now + rest
            self._looked = now, time.thread_time() - before, end
        return None if end is None else max(0.0, end - now)

    def _look_ahead(self) -> float | None:
        if not self.left:
            return 0.0
        seconds: dict[str, float] = {}
        for key, job in self.left.items():
            found = self.estimate(job)
            if found is None:
                return None
            seconds[key] = found
        flying = {job.key: elapsed for job, elapsed in self.in_flight if job.key in seconds}
        slower = self._slower(
            {key: elapsed for key, elapsed in flying.items() if self.left[key].kind == "fit"}, seconds
        )
        if slower > 1.0:
            seconds = {key: known * slower if self.left[key].kind == "fit" else known for key, known in seconds.items()}
        start = 0.0 if self.first else self.prediction.start
        for key, elapsed in flying.items():
            seconds[key] = max(0.0, start + seconds[key] - elapsed)
        rest = makespan({key: self.left[key] for key in (*flying, *self.left)}, seconds, self.slots)
        return rest if flying else start + rest

    def _slower(self, flying: Mapping[str, float], seconds: Mapping[str, float]) -> float:
        """Return how much longer trainings seem to take than is known: all that are in flight are late, so all will be.

        flying: seconds that each has taken so far. One that hangs among others that do not says nothing of them.
        """
        begun = 0.0 if self.first else self.prediction.start
        late = [_NOT_OVER * (elapsed - begun) / max(seconds[key], 1e-9) for key, elapsed in flying.items()]
        return max(1.0, min(late)) if len(late) == self.slots else 1.0
