"""Counts of a run, and its time remaining."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterable

import msgspec

from ltbench.core.spec import Job
from ltbench.timing.estimate import Prediction
from ltbench.timing.makespan import makespan

_CHEAP = 0.002
"""An estimate that takes less computing time than this, in seconds, is made at every call."""
_REUSE = 100
"""A more expensive estimate is reused for this many times its computing time."""
_OVERDUE = 1.25
"""An overdue job is assumed to take 25 % longer than it has so far."""


class RunCounts(msgspec.Struct, kw_only=True):
    """Live counts of a run, written by the runner."""

    cells: int
    """Cells of the plan."""
    slots: int
    prediction: Prediction = msgspec.field(default_factory=Prediction)
    cached: int = 0
    """Cells that had a successful record at the start."""
    done: int = 0
    """Cells with a successful record, including cached ones."""
    failed: list[str] = []
    """Cells that failed."""
    jobs: int = 0
    """Jobs that had to be done."""
    jobs_done: int = 0
    done_elsewhere: int = 0
    """Jobs done by other processes during the run."""
    running_elsewhere: int = 0
    """Jobs running in other processes."""
    ran: Counter[str] = msgspec.field(default_factory=Counter)
    """Jobs done here, by kind."""
    seconds: defaultdict[str, float] = msgspec.field(default_factory=lambda: defaultdict(float))
    """Seconds of work done here, by kind."""
    first: tuple[float, Job] | None = None
    """The first job done here, and when: seconds after the start."""
    started: float = msgspec.field(default_factory=time.monotonic)
    left: dict[str, Job] = {}
    """Jobs that are neither done nor given up, parents first."""
    _running: dict[str, tuple[Job, float, frozenset[str]]] = {}
    _last_estimate: tuple[float, float, float | None] = (0.0, -1.0, None)
    """The last estimate of the end: when it was made, its computing time in seconds, and the end."""

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started

    @property
    def running(self) -> int:
        """The number of cells with a running job."""
        return len(frozenset[str]().union(*(cells for _, _, cells in self._running.values())))

    def add(self, jobs: Iterable[Job]) -> None:
        """Count jobs that have to be done."""
        for job in jobs:
            self.jobs += 1
            self.left[job.key] = job

    def begin(self, job: Job, cells: frozenset[str]) -> None:
        """Note that a worker has started a job, which `cells` depend on."""
        self._running[job.key] = (job, time.monotonic(), cells)

    def end(self, key: str) -> None:
        """Note that no worker has the job any longer."""
        self._running.pop(key, None)

    def finish(self, job: Job, *, seconds: float | None, cold: bool = False) -> None:
        """Count a finished job. seconds: of work, None if another process did it. cold: see `Prediction.learn`."""
        self.jobs_done += 1
        self.left.pop(job.key, None)
        if seconds is None:
            self.done_elsewhere += 1
        else:
            self.first = self.first or (self.elapsed, job)
            self.ran[job.kind] += 1
            self.seconds[job.kind] += seconds
            self.prediction.learn(job, seconds, cold=cold)
        if job.kind == "cell":
            self.done += 1

    @property
    def in_flight(self) -> list[tuple[Job, float]]:
        """The jobs that workers have, each with the seconds since it was submitted."""
        now = time.monotonic()
        return [(job, now - since) for job, since, _ in self._running.values()]

    @property
    def worked(self) -> float:
        """Seconds of work done here, including running jobs."""
        return sum(self.seconds.values()) + sum(seconds for _, seconds in self.in_flight)

    @property
    def eta(self) -> float | None:
        """Remaining seconds; None while the duration of some training is unknown."""
        now = time.monotonic()
        made, cost, end = self._last_estimate
        if cost < _CHEAP or now - made > _REUSE * cost or not self.left:
            before = time.thread_time()
            rest = self._remaining()
            end = None if rest is None else now + rest
            self._last_estimate = now, time.thread_time() - before, end
        return None if end is None else max(0.0, end - now)

    def _remaining(self) -> float | None:
        if not self.left:
            return 0.0
        seconds: dict[str, float] = {}
        for key, job in self.left.items():
            estimate = self.prediction.seconds(job)
            if estimate is None:
                return None
            seconds[key] = estimate
        in_flight = {job.key: elapsed for job, elapsed in self.in_flight if job.key in seconds}
        trainings = {key for key in self.left if self.left[key].kind == "fit"}
        start = 0.0 if self.first else self.prediction.start
        # How much longer trainings take than estimated, judged by the running ones. A single hanging job says nothing
        # about the others, so the jobs of all workers have to be overdue.
        overdue = [
            _OVERDUE * (elapsed - start) / max(seconds[key], 1e-9)
            for key, elapsed in in_flight.items()
            if key in trainings
        ]
        if len(overdue) == self.slots and (slowdown := min(overdue)) > 1.0:
            seconds = {key: value * slowdown if key in trainings else value for key, value in seconds.items()}
        for key, elapsed in in_flight.items():
            seconds[key] = max(0.0, start + seconds[key] - elapsed)
        rest = makespan({key: self.left[key] for key in (*in_flight, *self.left)}, seconds, self.slots)
        return rest if in_flight else start + rest
