"""Which jobs can run next: the graph of missing jobs, in the order of the plan. Does no I/O."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping

from ltbench.core.spec import Job

TASK_SECONDS = 0.5
"""Small jobs are batched up to this work: enough to make sending a task cheap, little enough to stop soon."""
TASK_JOBS = 64
STACK_JOBS = 32
"""Fits of one stack in a task. More would gain little, and lose more if the worker is killed."""
STACK_NETWORKS = 8
"""The same for networks, which need memory for the images and maps of all."""


class ReadyQueue:
    """The remaining jobs: each waits for parents, is ready, or was taken by a worker."""

    def __init__(self, order: Iterable[str], needed: Mapping[str, Job]) -> None:
        """order: all keys of the plan, first to run first. needed: the jobs to do, with all missing parents."""
        self._rank = {key: rank for rank, key in enumerate(order)}
        self.jobs: dict[str, Job] = {}
        self._waits_for: dict[str, set[str]] = {}
        """Jobs that are neither done nor given up, each with its unfinished parents."""
        self._children: dict[str, set[str]] = {}
        self._ready: list[tuple[int, str]] = []
        self._taken: set[str] = set()
        self._stacks: dict[str, list[tuple[int, str]]] = {}
        """The ready fits of each stack, as heaps; those of `_ready` as well."""
        self._apart: set[str] = set()
        """Stacks whose fits run alone."""
        self.add(needed)

    @property
    def left(self) -> int:
        """The number of jobs that are neither done nor given up."""
        return len(self._waits_for)

    def is_left(self, key: str) -> bool:
        """Whether a job is neither done nor given up."""
        return key in self._waits_for

    def add(self, needed: Mapping[str, Job]) -> list[Job]:
        """Add jobs and the dependencies between them; return the new ones.

        A job that was taken stays so until `put_back`.
        """
        added = [job for job in needed.values() if job.key not in self._waits_for]
        for job in needed.values():
            self.jobs[job.key] = job
            lacks = {parent for parent in job.reads if parent in needed}
            self._waits_for.setdefault(job.key, set()).update(lacks)
            for parent in job.reads:
                self._children.setdefault(parent, set()).add(job.key)
            if not lacks and job.key not in self._taken:
                self._push(job.key)
        return added

    def _push(self, key: str) -> None:
        entry = self._rank[key], key
        heapq.heappush(self._ready, entry)
        if together := self.jobs[key].together:
            heapq.heappush(self._stacks.setdefault(together, []), entry)

    def take(self, seconds: Callable[[Job], float]) -> list[Job]:
        """Return the next task: the next job, then small jobs that are ready or become ready within the task.

        A fit of a stack comes with others of the stack, and nothing else.
        """
        self._drop_stale()
        if not self._ready:
            return []
        task: list[Job] = []
        taken: set[str] = set()
        unlocked: list[tuple[int, str]] = []
        total = 0.0
        while (self._ready or unlocked) and len(task) < TASK_JOBS:
            heap = min((heap for heap in (self._ready, unlocked) if heap), key=lambda heap: heap[0])
            job = self.jobs[heap[0][1]]
            total += seconds(job)
            if task and (total > TASK_SECONDS or self.is_stacked(job)):
                break
            heapq.heappop(heap)
            task.append(job)
            taken.add(job.key)
            if self.is_stacked(job):
                for other in self._others_of_stack(job, taken):
                    task.append(other)
                    taken.add(other.key)
                break
            for child in self._children.get(job.key, ()):
                lacks = self._waits_for.get(child)
                if lacks and lacks <= taken and child not in self._taken:
                    heapq.heappush(unlocked, (self._rank[child], child))
            self._drop_stale(taken)
        self._taken |= taken
        return task

    def put_back(self, key: str) -> None:
        """Make a taken job ready again."""
        self._taken.discard(key)
        if self._waits_for.get(key) == set():
            self._push(key)

    def is_stacked(self, job: Job) -> bool:
        """Whether a job may be taken together with others of its stack."""
        return bool(job.together) and job.together not in self._apart

    def separate(self, job: Job) -> None:
        """Make a taken job ready again; from now on, the fits of its stack are taken one by one."""
        self._apart.add(job.together)
        self.put_back(job.key)

    def _others_of_stack(self, job: Job, taken: set[str]) -> list[Job]:
        """Return the next ready jobs of the stack of a job that has been taken."""
        stack, others = self._stacks[job.together], list[Job]()
        most = STACK_NETWORKS if job.together_on_gpu else STACK_JOBS
        while stack and len(others) < most - 1:
            _, key = heapq.heappop(stack)
            if self._waits_for.get(key) == set() and key not in self._taken and key not in taken:
                others.append(self.jobs[key])
        return others

    def done(self, key: str) -> None:
        """Mark a job as done, here or elsewhere, and release its children."""
        if self._waits_for.pop(key, None) is None:
            return
        self._taken.discard(key)
        for child in self._children.get(key, ()):
            lacks = self._waits_for.get(child)
            if lacks is None or key not in lacks:
                continue
            lacks.discard(key)
            if not lacks and child not in self._taken:
                self._push(child)

    def fail(self, key: str) -> tuple[list[Job], list[Job]]:
        """Give up a job and all its dependents; return them, and the jobs that only they needed."""
        lost = self.dependents(key)
        for job in lost:
            self._waits_for.pop(job.key, None)
            self._taken.discard(job.key)
        return lost, self._drop_needless(lost)

    def dependents(self, key: str) -> list[Job]:
        """Return a job and its remaining dependents, in the order of the plan."""
        dependents: dict[str, Job] = {}
        stack = [key]
        while stack:
            current = stack.pop()
            if current not in dependents and current in self._waits_for:
                dependents[current] = self.jobs[current]
                stack.extend(self._children.get(current, ()))
        return sorted(dependents.values(), key=lambda job: self._rank[job.key])

    def _drop_needless(self, lost: Iterable[Job]) -> list[Job]:
        """Give up jobs that only the lost ones needed, unless a worker has them."""
        dropped = []
        stack = [parent for job in lost for parent in job.reads]
        while stack:
            key = stack.pop()
            if key not in self._waits_for or key in self._taken:
                continue
            if not any(child in self._waits_for for child in self._children.get(key, ())):
                del self._waits_for[key]
                dropped.append(self.jobs[key])
                stack.extend(self.jobs[key].reads)
        return dropped

    def _drop_stale(self, taken: Iterable[str] = ()) -> None:
        # Jobs that were given up or taken are still in the heap; skip them here.
        while self._ready:
            key = self._ready[0][1]
            if self._waits_for.get(key) == set() and key not in self._taken and key not in taken:
                return
            heapq.heappop(self._ready)
