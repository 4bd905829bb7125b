"""Worker processes on this machine: one per core with one thread each, or some per GPU, spawned once and reused.

Each worker belongs to its own pebble pool, which notices its death and knows its task.
"""

from __future__ import annotations

import contextlib
import queue
import signal
from collections import deque
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Self

import msgspec
from pebble import ProcessExpired

from ltbench.core.devices import slots_on
from ltbench.core.spec import Job
from ltbench.executor import DEFAULTS, Outcome, Terms
from ltbench.executors.local_slot import Slot, kill_all
from ltbench.executors.remote import RemoteTasks, Task
from ltbench.executors.worker_process import check_can_share_locks

if TYPE_CHECKING:
    from ltbench.executor import Context


class _Running(msgspec.Struct, eq=False):
    task: Task
    slot: Slot
    future: Future[list[Outcome]]


class Local:
    """Runs tasks in worker processes, one per core or GPU by default."""

    def __init__(self, context: Context, terms: Terms = DEFAULTS) -> None:
        """Raise `UsageError` if worker processes cannot be started here, or a limit cannot be enforced."""
        check_can_share_locks()
        self._remote = RemoteTasks(context, terms)
        self._slots = [Slot(device) for device in slots_on(context.devices, terms.workers, terms.per_gpu)]
        self._waiting: deque[Sequence[Job]] = deque()
        self._running: set[_Running] = set()
        self._ended: queue.SimpleQueue[_Running] = queue.SimpleQueue()

    @property
    def slots(self) -> int:
        """One per worker. Sending a task takes a millisecond, so no task has to be queued."""
        return len(self._slots)

    def submit(self, jobs: Sequence[Job]) -> None:
        """Submit a task: jobs that one worker runs in the given order."""
        self._waiting.append(jobs)
        self._hand_out()

    def wait(self, timeout: float) -> list[Outcome]:
        """Return the outcomes of finished tasks, waiting up to `timeout` seconds for the first."""
        outcomes: list[Outcome] = []
        with contextlib.suppress(queue.Empty):
            outcomes += self._outcomes(self._ended.get(timeout=timeout))
            while True:
                outcomes += self._outcomes(self._ended.get_nowait())
        # Only if nothing was reported, or a task that has just finished could be taken for lost.
        if not outcomes:
            outcomes += self._lost()
        self._hand_out()
        return outcomes

    def _hand_out(self) -> None:
        busy = {running.slot for running in self._running}
        # The worker of the first free slot is the most likely to be running already.
        for slot in (slot for slot in self._slots if slot not in busy):
            if not self._waiting:
                return
            task = self._remote.pack(self._waiting.popleft(), slot.device)
            running = _Running(task=task, slot=slot, future=slot.begin(task.message))
            self._running.add(running)
            running.future.add_done_callback(partial(self._report, running))

    def _report(self, running: _Running, future: Future[list[Outcome]]) -> None:
        self._ended.put(running)  # in a thread of the pool

    # --- how tasks end ---------------------------------------------------------------------------------------------

    def _outcomes(self, running: _Running) -> list[Outcome]:
        if running not in self._running:
            return []
        try:
            outcomes: list[Outcome] = running.future.result()
        except ProcessExpired as error:
            return self._died(running, _cause_of_death(error.exitcode))
        except (BrokenProcessPool, CancelledError):
            return self._broken(running)
        except Exception as error:  # noqa: BLE001 - a plugin may raise whatever it likes as it is loaded
            self._running.discard(running)
            return self._remote.after_error(running.task, error)
        self._running.discard(running)
        if any(outcome.changed for outcome in outcomes):
            running.slot.end()  # a new worker has a clean state
        return outcomes

    def _lost(self) -> list[Outcome]:
        """Return the outcomes of tasks that the pool will never report."""
        outcomes: list[Outcome] = []
        for running in list(self._running):
            if running.future.done():
                continue  # it has just been reported
            self._remote.kill_over_limits(running.task)
            if running.slot.is_broken():
                outcomes += self._broken(running)  # usually before the pool sent the task
        return outcomes

    def _broken(self, running: _Running) -> list[Outcome]:
        # The pool assumes that a worker with exit code 0 had nothing to do.
        started = self._remote.is_orphan(running.task)
        return self._died(running, "ended in the middle of a job" if started else "died during its start")

    def _died(self, running: _Running, how: str) -> list[Outcome]:
        self._running.discard(running)
        running.slot.end()
        return self._remote.after_death(running.task, how)

    # --- the end ---------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Stop at once: kill what is running."""
        self._waiting.clear()
        self._running.clear()
        self._end(kill=True)

    def _end(self, *, kill: bool = False) -> None:
        for slot in self._slots:
            slot.close()
        if kill:
            kill_all()
        for slot in self._slots:
            slot.end()
        self._remote.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._end(kill=error is not None)


def _cause_of_death(exitcode: int) -> str:
    if exitcode < 0:
        with contextlib.suppress(ValueError):
            name = signal.Signals(-exitcode).name
            hint = " (out of memory?)" if name == "SIGKILL" else ""
            return f"was killed by {name}{hint}"
    return f"ended with exit code {exitcode}"
