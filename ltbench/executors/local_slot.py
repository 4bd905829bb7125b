"""A slot for one worker process: started when first needed, reused, replaced when it dies.

Each slot has its own pool with one worker. Workers of one pool share a pipe and its locks, so a worker that is killed
while it holds a lock, or before it acknowledges a task, would block the others forever. Here the pool is discarded.
"""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.context import SpawnProcess
from typing import Any

from pebble import ProcessPool

from ltbench.core.spawning import Spawning
from ltbench.executor import Outcome
from ltbench.executors.remote import run_task
from ltbench.executors.worker_process import start_worker, starting_workers

_WORKER = "pebble_pool_worker"
"""Pebble's name of its worker processes."""


class _OneProcess(Spawning):
    """Refuses to make a second process.

    Pebble starts a replacement as soon as a worker has died: with the environment of that moment, and in a pool that is about
    to be ended, where it fails with a traceback if it is just opening the locks that the pool removes.
    """

    _made = False

    def Process(self, *args: Any, **kwargs: Any) -> SpawnProcess:  # type: ignore[override]  # noqa: N802 - as there
        if self._made:
            raise OSError("a pool has one worker, which has ended")
        self._made = True
        return Spawning.Process(*args, **kwargs)


class Slot:
    """A slot for one worker. Only one thread at a time may start or end it."""

    def __init__(self, device: str) -> None:
        self.device = device
        self._pool: ProcessPool | None = None

    def begin(self, message: bytes) -> Future[list[Outcome]]:
        """Send a task to the worker, which is started if necessary. If it dies, the future raises pebble's error."""
        future: Future[list[Outcome]]
        try:
            future = self._running().schedule(run_task, args=(message,))
        except RuntimeError:  # the worker died after the check
            future = Future()
            future.set_exception(BrokenProcessPool())
        return future

    def is_broken(self) -> bool:
        """Whether the worker is gone and no future will report it."""
        return self._pool is None or not self._pool.active

    def close(self) -> None:
        """Stop the worker without waiting; `end` waits."""
        if self._pool is not None:
            self._pool.stop()  # type: ignore[no-untyped-call]

    def end(self) -> None:
        """End the worker, even during a task."""
        self.close()
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.join()

    def _running(self) -> ProcessPool:
        if self._pool is not None and not self._pool.active:
            self.end()
        if self._pool is None:
            self._pool = ProcessPool(
                max_workers=1, initializer=start_worker, initargs=(os.getpid(),), context=_OneProcess()
            )
            with starting_workers():
                _ = self._pool.active  # this access starts the worker
        return self._pool


def kill_all() -> None:
    """Kill every worker of this process."""
    for process in multiprocessing.active_children():
        if process.name == _WORKER:
            process.kill()
