"""Starts worker processes: sets their environment, blocks Ctrl-C, and ends them with their parent."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import threading
import time
from collections.abc import Iterator
from multiprocessing import resource_tracker
from signal import SIG_BLOCK, SIG_SETMASK, SIGINT, pthread_sigmask

from ltbench.errors import UsageError

# Results must not depend on the number of cores, and processes with one thread each use a machine best.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    # glibc returns the memory of activations to the kernel and requests it again in the next step. Keeping it makes a
    # training up to a third faster and changes no number. Read when the process starts.
    "MALLOC_MMAP_THRESHOLD_": str(4 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(16 << 30),
    "MALLOC_TOP_PAD_": str(256 << 20),
}
_WATCH_SECONDS = 0.5


def check_can_share_locks() -> None:
    """Raise `UsageError` if processes here cannot share locks, without which no worker starts."""
    try:
        multiprocessing.get_context("spawn").Lock()
    except OSError as error:
        raise UsageError(
            "worker processes cannot be started here",
            why=f"they share locks through /dev/shm, which cannot be used: {os.strerror(error.errno or 0)}",
            fix="make /dev/shm a tmpfs that this user may write, or use --executor inline",
        ) from error


@contextlib.contextmanager
def starting_workers() -> Iterator[None]:
    """Set the environment of worker processes started in the block, and block Ctrl-C in them."""
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
    """Block SIGINT in threads and processes started in the block, because Ctrl-C reaches the whole group.

    They inherit the mask, and so do workers that a pool's thread starts later.
    """
    # Starting the semaphore tracker unblocks SIGINT, so that is done first.
    resource_tracker.ensure_running()
    before = pthread_sigmask(SIG_BLOCK, {SIGINT})
    try:
        yield
    finally:
        pthread_sigmask(SIG_SETMASK, before)


def start_worker(parent: int) -> None:
    """Set up this child process of `parent` as a worker: silent between tasks, and ended when its parent is gone."""
    null = os.open(os.devnull, os.O_RDWR)
    for number in (1, 2):
        os.dup2(null, number)
    os.close(null)
    end_with(parent)


def end_with(parent: int) -> None:
    """End this process as soon as its parent is gone."""
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_WATCH_SECONDS)
    os._exit(1)
