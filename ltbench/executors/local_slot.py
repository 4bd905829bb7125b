"""A place for one worker process: started when it is first needed, reused, replaced when it dies.

Each has a pool of its own, of one worker. The workers of one pool share a pipe and its locks, and one that is killed
while it holds a lock, or between taking a task and saying so, would leave the others waiting for ever; here what it
leaves behind is thrown away with it.
"""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool

from pebble import ProcessPool

from ltbench.executor import Outcome
from ltbench.executors.remote import run_task
from ltbench.executors.worker_process import start_worker, starting_workers

_WORKER = "pebble_pool_worker"
"""What pebble names its processes."""


class Slot:
    """A place for one worker. Starting and ending it is for one thread at a time."""

    def __init__(self) -> None:
        self._pool: ProcessPool | None = None

    def begin(self, message: bytes) -> Future[list[Outcome]]:
        """Give the worker a task, starting a worker if there is none. The future raises what pebble does on a death."""
        future: Future[list[Outcome]]
        try:
            future = self._running().schedule(run_task, args=(message,))
        except RuntimeError:  # the worker died after it was found to be running
            future = Future()
            future.set_exception(BrokenProcessPool())
        return future

    def is_broken(self) -> bool:
        """Whether the worker is gone and no future will say so."""
        return self._pool is None or not self._pool.active

    def close(self) -> None:
        """Stop the worker without waiting; `end` waits."""
        if self._pool is not None:
            self._pool.stop()  # type: ignore[no-untyped-call]

    def end(self) -> None:
        """End the worker, also in the middle of a task, and what pebble may have started in its place."""
        self.close()
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.join()

    def _running(self) -> ProcessPool:
        if self._pool is not None and not self._pool.active:
            self.end()
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPool(max_workers=1, initializer=start_worker, initargs=(os.getpid(),), context=context)
            with starting_workers():
                _ = self._pool.active  # asking starts the worker
        return self._pool


def kill_all() -> None:
    """Kill every worker of this process."""
    for process in multiprocessing.active_children():
        if process.name == _WORKER:
            process.kill()
