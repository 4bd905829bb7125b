"""Starting worker processes: their environment, no Ctrl-C, and an end with their parent."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from multiprocessing import resource_tracker
from signal import SIG_BLOCK, SIG_SETMASK, SIGINT, pthread_sigmask

# Results must not depend on how many cores a machine has, and processes with one thread each use it best.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    # glibc gives every activation back to the kernel and asks for it again in the next step; keeping the memory makes
    # a training up to a third faster and changes no number. Read when the process starts.
    "MALLOC_MMAP_THRESHOLD_": str(4 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(16 << 30),
    "MALLOC_TOP_PAD_": str(256 << 20),
}
_WATCH_SECONDS = 0.5


@contextlib.contextmanager
def starting_workers() -> Iterator[None]:
    """Give the worker processes that are started in the block their environment, and keep Ctrl-C from them."""
    before = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
    with without_interrupts():
        os.environ.update(ENVIRONMENT)
        try:
            yield
        finally:
            for name in ENVIRONMENT.keys() - before:
                del os.environ[name]
            os.environ.update(before)


@contextlib.contextmanager
def without_interrupts() -> Iterator[None]:
    """Block SIGINT in threads and processes started in the block: Ctrl-C goes to the whole group, and is the command's.

    They inherit the mask, and so does every worker that a pool's thread starts later, from its first instruction.
    """
    # Starting the tracker of semaphores ends with SIGINT unblocked, so that is done first.
    resource_tracker.ensure_running()
    before = pthread_sigmask(SIG_BLOCK, {SIGINT})
    try:
        yield
    finally:
        pthread_sigmask(SIG_SETMASK, before)


def start_worker(parent: int) -> None:
    """Make this child of the process `parent` a worker: silent between tasks, and ended when its parent is gone."""
    null = os.open(os.devnull, os.O_RDWR)
    for number in (1, 2):
        os.dup2(null, number)
    os.close(null)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_WATCH_SECONDS)
    os._exit(1)
