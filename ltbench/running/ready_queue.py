"""Which jobs can run next: the graph of jobs as it is eaten up, in the order of the plan. No input or output here."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping

from ltbench.core.spec import Job

TASK_SECONDS = 0.5
"""How much work small jobs are gathered to: enough that handing it over costs nothing, little enough to stop soon."""
TASK_JOBS = 64


class ReadyQueue:
    """The jobs that are left, each waiting for its parents, ready, out at a worker, done or given up."""

    def __init__(self, order: Iterable[str], needed: Mapping[str, Job]) -> None:
        """order: every key of the plan, best first. needed: the jobs to do, with all their parents that are missing."""
        self._rank = {key: rank for rank, key in enumerate(order)}
        self.jobs: dict[str, Job] = {}
        self._waits_for: dict[str, set[str]] = {}
        """Jobs that are neither done nor given up, and the parents that each still lacks."""
        self._children: dict[str, set[str]] = {}
        self._ready: list[tuple[int, str]] = []
        self._out: set[str] = set()
        self.add(needed)

    @property
    def left(self) -> int:
        """How many jobs are neither done nor given up."""
        return len(self._waits_for)

    def is_left(self, key: str) -> bool:
        """Whether a job is neither done nor given up."""
        return key in self._waits_for

    @property
    def has_ready(self) -> bool:
        """Whether some job can run now."""
        self._drop_stale()
        return bool(self._ready)

    def add(self, needed: Mapping[str, Job]) -> list[Job]:
        """Take up jobs and what each lacks of the others; return those that were not there yet.

        A job that is out stays out, until it is put back `again`.
        """
        added = [job for job in needed.values() if job.key not in self._waits_for]
        for job in needed.values():
            self.jobs[job.key] = job
            lacks = {parent for parent in job.reads if parent in needed}
            self._waits_for.setdefault(job.key, set()).update(lacks)
            for parent in job.reads:
                self._children.setdefault(parent, set()).add(job.key)
            if not lacks and job.key not in self._out:
                heapq.heappush(self._ready, (self._rank[job.key], job.key))
        return added

    def take(self, seconds: Callable[[Job], float]) -> list[Job]:
        """Take a task: the next job, and after it small ones that are ready or become so in the course of it."""
        self._drop_stale()
        if not self._ready:
            return []
        task: list[Job] = []
        taken: set[str] = set()
        unlocked: list[tuple[int, str]] = []
        total = 0.0
        while (self._ready or unlocked) and len(task) < TASK_JOBS:
            line = min((line for line in (self._ready, unlocked) if line), key=lambda line: line[0])
            job = self.jobs[line[0][1]]
            total += seconds(job)
            if task and total > TASK_SECONDS:
                break
            heapq.heappop(line)
            task.append(job)
            taken.add(job.key)
            for child in self._children.get(job.key, ()):
                lacks = self._waits_for.get(child)
                if lacks and lacks <= taken and child not in self._out:
                    heapq.heappush(unlocked, (self._rank[child], child))
            self._drop_stale(taken)
        self._out |= taken
        return task

    def again(self, key: str) -> None:
        """Put back a job that was taken and came to nothing."""
        self._out.discard(key)
        if self._waits_for.get(key) == set():
            heapq.heappush(self._ready, (self._rank[key], key))

    def done(self, key: str) -> None:
        """Note that what a job makes is there."""
        if self._waits_for.pop(key, None) is None:
            return
        self._out.discard(key)
        for child in self._children.get(key, ()):
            lacks = self._waits_for.get(child)
            if lacks is None or key not in lacks:
                continue
            lacks.discard(key)
            if not lacks and child not in self._out:
                heapq.heappush(self._ready, (self._rank[child], child))

    def fail(self, key: str) -> tuple[list[Job], list[Job]]:
        """Give up a job and everything that needs it, and what only they needed: return both."""
        lost = self.dependents(key)
        for job in lost:
            self._waits_for.pop(job.key, None)
            self._out.discard(job.key)
        return lost, self._drop_needless(lost)

    def dependents(self, key: str) -> list[Job]:
        """Return a job and all that need it, as far as they are left, in the order of the plan."""
        found: dict[str, Job] = {}
        line = [key]
        while line:
            one = line.pop()
            if one not in found and one in self._waits_for:
                found[one] = self.jobs[one]
                line.extend(self._children.get(one, ()))
        return sorted(found.values(), key=lambda job: self._rank[job.key])

    def _drop_needless(self, lost: Iterable[Job]) -> list[Job]:
        """Give up the jobs, of those that no worker has yet, that only the lost ones needed."""
        dropped = []
        line = [parent for job in lost for parent in job.reads]
        while line:
            key = line.pop()
            if key not in self._waits_for or key in self._out:
                continue
            if not any(child in self._waits_for for child in self._children.get(key, ())):
                del self._waits_for[key]
                dropped.append(self.jobs[key])
                line.extend(self.jobs[key].reads)
        return dropped

    def _drop_stale(self, taken: Iterable[str] = ()) -> None:
        while self._ready:
            key = self._ready[0][1]
            if self._waits_for.get(key) == set() and key not in self._out and key not in taken:
                return
            heapq.heappop(self._ready)
