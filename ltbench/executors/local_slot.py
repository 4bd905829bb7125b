"""A place for one worker process: started when it is first needed, reused, replaced when it dies.

Each has a pool of its own, of one worker. The workers of one pool share a pipe and its locks, and one that is killed
while it holds a lock, or between taking a task and saying so, would leave the others waiting for ever; here what it
leaves behind is thrown away with it.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import resource_tracker
from signal import SIG_BLOCK, SIG_SETMASK, SIGINT, pthread_sigmask

from pebble import ProcessPool

from ltbench.core.spec import Job
from ltbench.executor import Outcome
from ltbench.executors import worker
from ltbench.executors.version_check import Versions

_WORKER = "pebble_pool_worker"
"""What pebble names its processes."""


class Slot:
    """A place for one worker. Starting and ending one is for one thread at a time."""

    def __init__(self) -> None:
        self._pool: ProcessPool | None = None
        self.pids: set[int] = set()
        """The worker that was started last, also when it is no more."""

    def begin(self, jobs: Sequence[Job], versions: Versions, setup: worker.Setup) -> Future[list[Outcome]]:
        """Give the worker a task of a command with these versions, starting one by its setup where there is none.

        The future raises what pebble does where the worker dies.
        """
        future: Future[list[Outcome]]
        try:
            future = self._running(setup).schedule(worker.run, args=(list(jobs), versions))
        except RuntimeError:  # the worker died since it was asked for
            future = Future()
            future.set_exception(BrokenProcessPool())
        return future

    def is_broken(self) -> bool:
        """Whether the worker is gone and no future will say so."""
        return self._pool is None or not self._pool.active

    def close(self) -> None:
        """Have the worker end soon; `end` waits for that."""
        if self._pool is not None:
            self._pool.stop()  # type: ignore[no-untyped-call]

    def end(self) -> None:
        """End the worker, at whatever it is, and what pebble may have started in its place."""
        self.close()
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.join()

    def _running(self, setup: worker.Setup) -> ProcessPool:
        if self._pool is not None and not self._pool.active:
            self.end()
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPool(max_workers=1, initializer=worker.start, initargs=(setup,), context=context)
            others = _pids()
            with without_interrupts(), environment(worker.ENVIRONMENT):
                _ = self._pool.active  # asking starts the worker
            # There may be one more, which pebble starts in place of one that has died elsewhere and never gets a task.
            self.pids = _pids() - others
        return self._pool


def _pids() -> set[int]:
    return {p.pid for p in multiprocessing.active_children() if p.name == _WORKER and p.pid is not None}


def kill_all() -> None:
    """Kill every worker of this process, whatever it is at."""
    for process in multiprocessing.active_children():
        if process.name == _WORKER:
            process.kill()


@contextlib.contextmanager
def without_interrupts() -> Iterator[None]:
    """Have threads and processes that are started inside never see Ctrl-C, which goes to the whole group.

    The mask is inherited by the pool's threads and by every worker that they start later, from its first instruction.
    """
    # Starting the tracker of semaphores ends with SIGINT unblocked, so that is done first.
    resource_tracker.ensure_running()
    before = pthread_sigmask(SIG_BLOCK, {SIGINT})
    try:
        yield
    finally:
        pthread_sigmask(SIG_SETMASK, before)


@contextlib.contextmanager
def environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
