"""Worker processes on this machine: one per core with one thread each, spawned once and reused.

Each worker is kept by a pool of pebble's, which notices its death and knows which task it had. A death costs the job
that was running; the rest of its task goes back to whoever submitted it.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import socket
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Self

import msgspec
from pebble import ProcessExpired

from ltbench.core.folders import cores
from ltbench.core.spec import Job
from ltbench.errors import LtbenchError, WorkerRefused
from ltbench.executor import DEFAULTS, Outcome, Terms
from ltbench.executors import worker
from ltbench.executors.limits import LOOK_SECONDS, Attempt, Limits
from ltbench.executors.local_slot import Slot, kill_all
from ltbench.executors.perform import by_path, described
from ltbench.executors.version_check import versions
from ltbench.executors.worker_death import after_death, not_begun
from ltbench.store.leases import Owner

if TYPE_CHECKING:
    from ltbench.executor import Context

_REVIVALS = 3
"""How often in a row each worker may die before any of them has done a task."""
_ORPHAN_SECONDS = 3.0
"""How long the pool may take to report the death of a worker."""


class _Task(msgspec.Struct, eq=False):
    jobs: Sequence[Job]
    slot: Slot
    future: Future[list[Outcome]]
    attempt: Attempt
    orphan_since: float | None = None


class Local:
    """Runs tasks in processes of their own, one per core by default."""

    def __init__(self, context: Context, terms: Terms = DEFAULTS) -> None:
        self.context, self.limits = context, Limits(timeout=terms.timeout, memory=terms.memory)
        self._setup = worker.Setup(
            store=context.store,
            origin=context.registry.origin,
            data_root=context.data_root,
            device=context.device,
            work=by_path(terms.work),
            parent=os.getpid(),
        )
        self._slots = [Slot() for _ in range(terms.workers or cores())]
        self._waiting: deque[Sequence[Job]] = deque()
        self._tasks: set[_Task] = set()
        self._ended: queue.SimpleQueue[_Task] = queue.SimpleQueue()
        self._deaths = 0
        self._next_look = 0.0

    @property
    def slots(self) -> int:
        """One per worker: the way to a worker takes a millisecond, so nobody has to queue."""
        return len(self._slots)

    def submit(self, jobs: Sequence[Job]) -> None:
        """Take a task: jobs that one worker does in the given order."""
        self._waiting.append(jobs)
        self._hand_out()

    def wait(self, timeout: float) -> list[Outcome]:
        """Return the outcomes of the tasks that ended, waiting for the first at most `timeout` seconds."""
        outcomes: list[Outcome] = []
        with contextlib.suppress(queue.Empty):
            outcomes += self._outcomes(self._ended.get(timeout=timeout))
            while True:
                outcomes += self._outcomes(self._ended.get_nowait())
        outcomes += self._held_to_limits()
        if not outcomes:
            outcomes += self._lost()
        self._hand_out()
        return outcomes

    def _hand_out(self) -> None:
        busy = {task.slot for task in self._tasks}
        # The first free slot is the one whose worker is most likely to be there already.
        for slot in (slot for slot in self._slots if slot not in busy):
            if not self._waiting:
                return
            if self._deaths > _REVIVALS * len(self._slots):
                raise LtbenchError(
                    "worker processes die before they have done anything",
                    why=f"{self._deaths} workers have ended that way, one after the other",
                    fix="fewer --workers if memory is short, or --executor inline to see what happens",
                )
            jobs = self._waiting.popleft()
            future = slot.begin(jobs, versions(jobs, self.context.registry), self._setup)
            task = _Task(jobs=jobs, slot=slot, future=future, attempt=Attempt(jobs))
            self._tasks.add(task)
            task.future.add_done_callback(partial(self._report, task))

    def _report(self, task: _Task, future: Future[list[Outcome]]) -> None:
        self._ended.put(task)  # in a thread of the pool

    # --- how tasks end ---------------------------------------------------------------------------------------------

    def _outcomes(self, task: _Task) -> list[Outcome]:
        if task not in self._tasks:
            return []
        try:
            outcomes: list[Outcome] = task.future.result()
        except ProcessExpired as error:
            return self._died(task, error.pid, _how(error.exitcode))
        except (BrokenProcessPool, CancelledError):
            return self._skipped(task)
        except WorkerRefused:
            raise
        except Exception as error:  # noqa: BLE001 - the task could not even begin; its jobs carry the error
            self._tasks.discard(task)
            registry = self.context.registry
            return [Outcome(key=j.key, status="failed", error=described(error, j, registry)) for j in task.jobs]
        self._tasks.discard(task)
        self._deaths = 0
        return outcomes

    def _held_to_limits(self) -> list[Outcome]:
        """Kill the workers whose job takes too long or too much memory; return what their tasks came to."""
        if not self.limits or time.monotonic() < self._next_look:
            return []
        self._next_look = time.monotonic() + LOOK_SECONDS
        outcomes: list[Outcome] = []
        for task in list(self._tasks):
            if not task.future.running():
                continue  # its worker has not begun, or it is done
            if why := task.attempt.exceeds(self.limits, self.context.store.leases, task.slot.pids):
                if task.attempt.pid is not None:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(task.attempt.pid, signal.SIGKILL)
                outcomes += self._died(task, task.attempt.pid, why)
        return outcomes

    def _lost(self) -> list[Outcome]:
        """Return the outcomes of tasks that the pool will never report."""
        outcomes: list[Outcome] = []
        for task in list(self._tasks):
            if task.future.done():
                continue  # it has just been reported
            if task.slot.is_broken():
                outcomes += self._skipped(task)  # the pool had not handed it out yet
            elif self._is_orphan(task):
                # The pool takes a worker that ends with exit code 0 for one that had nothing to do.
                outcomes += self._died(task, None, "ended in the middle of a job")
        return outcomes

    def _is_orphan(self, task: _Task) -> bool:
        leases = self.context.store.leases
        if not any(_is_dead_worker_of(task.slot, leases.owner(job.key)) for job in task.jobs):
            task.orphan_since = None
            return False
        task.orphan_since = task.orphan_since or time.monotonic()
        return time.monotonic() - task.orphan_since > _ORPHAN_SECONDS

    def _died(self, task: _Task, pid: int | None, how: str) -> list[Outcome]:
        self._tasks.discard(task)
        task.slot.end()

        def was_it(owner: Owner) -> bool:
            return _is_dead_worker_of(task.slot, owner) if pid is None else owner.pid == pid

        process = None if pid is None else (socket.gethostname(), pid)
        return after_death(task.jobs, self.context.store, how=how, was_it=was_it, process=process)

    def _skipped(self, task: _Task) -> list[Outcome]:
        """Return that nothing was begun of a task: its worker died as it started, or as it took the task."""
        self._tasks.discard(task)
        task.slot.end()
        self._deaths += 1
        return not_begun(task.jobs)

    # --- beginning and end -----------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Stop at once: kill what is running."""
        self._waiting.clear()
        self._tasks.clear()
        self._end(kill=True)

    def _end(self, *, kill: bool = False) -> None:
        for slot in self._slots:
            slot.close()
        if kill:
            kill_all()
        for slot in self._slots:
            slot.end()
        worker.remove_outputs(self.context.store)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._end(kill=error is not None)


def _is_dead_worker_of(slot: Slot, owner: Owner | None) -> bool:
    """Whether a lease is of this slot's worker, and it died. Leases of workers before it may not have expired yet."""
    return owner is not None and owner.pid in slot.pids and owner.is_dead()


def _how(exitcode: int) -> str:
    if exitcode < 0:
        with contextlib.suppress(ValueError):
            name = signal.Signals(-exitcode).name
            hint = " (out of memory?)" if name == "SIGKILL" else ""
            return f"was killed by {name}{hint}"
    return f"ended with exit code {exitcode}"
