"""What goes on inside of a worker of a Dask cluster when it is handed a task.

Nothing is taken for granted of the worker: it may have been started by hand, for someone else, with other versions.
"""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import os
import pickle
import socket
import sys
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from distributed import get_worker

from ltbench.core.spec import Job
from ltbench.core.units import size_text
from ltbench.errors import LtbenchError, WorkerRefused
from ltbench.executors import worker
from ltbench.executors.limits import LOOK_SECONDS, Limits, resident
from ltbench.executors.version_check import Versions, greet

if TYPE_CHECKING:
    from ltbench.executor import Context, Work

Answer = dict[str, Any]
"""`ended`: outcomes of the jobs; `begun`: another worker has begun the task before; `refused`: an error in words."""
_STDERR = 2
_MEMORY = "ltbench: the worker was killed: it used"
_running = ""
"""The task that this process is at."""
_stopped: set[str] = set()
"""Tasks of commands that were stopped, which may still be on their way here."""


def pack(setup: worker.Setup, jobs: Sequence[Job], limits: Limits) -> bytes:
    """Return a task as it is sent: opened only where the versions are the same."""
    return pickle.dumps((pickle.dumps(setup), list(jobs), limits))


def run(task: str, versions: Versions, packed: bytes) -> Answer:
    """Do the task of that name for a command that has these versions.

    A task is begun once: where Dask hands it to a second worker as the first one is lost, that is for the command to
    know and to decide.
    """
    global _running  # noqa: PLW0603 - a process is at one task
    here = get_worker()
    where = f"worker {here.address} on {socket.gethostname()}"
    _running = task  # from here on, `end` ends this process
    try:
        if task in _stopped:
            return {"begun": True}
        _check_process(here, where)
        greet(versions, None, where=where)
        setup, jobs, limits = pickle.loads(packed)  # noqa: S301 - from the same command as this very call
        return _begin(task, jobs, limits, *_greeted(setup, versions, where))
    except WorkerRefused as error:
        return {"refused": (error.what, error.where, error.why, error.fix)}
    finally:
        _running = ""


def _begin(task: str, jobs: Sequence[Job], limits: Limits, context: Context, work: Work) -> Answer:
    leases = context.store.leases
    lease = None if leases.owner(task) else leases.acquire(task)
    if lease is None:
        return {"begun": True}
    with lease:
        output = worker.Output(worker.output_path(context.store, os.getpid()))
        try:
            with _held_to(limits) as begin:
                return {"ended": worker.do(jobs, context, work, output, before=begin)}
        finally:
            output.close()


def _greeted(setup: bytes, versions: Versions, where: str) -> tuple[Context, Work]:
    """Return what a job is done in and by. Raises `WorkerRefused` where plugins are missing here, or differ."""
    try:
        context, work = _ready(setup)()
        try:
            greet(versions, context.registry, where=where)
        except WorkerRefused:
            # A plugin file may have been edited since another command had it loaded here.
            _ready.cache_clear()
            context, work = _ready(setup)()
            greet(versions, context.registry, where=where)
    except WorkerRefused:
        raise
    except LtbenchError as error:
        raise WorkerRefused("a worker cannot load the command's plugins", where=where, why=str(error),
                            fix="have them at the same place on every machine") from error  # fmt: skip
    return context, work


async def end(tasks: Collection[str]) -> None:
    """End this process at once if it is at one of those tasks; its nanny starts another one. Begin none of them."""
    _stopped.update(tasks)
    if _running in tasks:
        os._exit(1)


def exceeded(last_words: str, limits: Limits) -> str:
    """Return how a worker that ended itself exceeded its limits; empty where it ended of something else."""
    for line in last_words.splitlines():
        if line.startswith("Timeout (") and limits.timeout is not None:
            return f"took more than {limits.timeout:g} s"
        if line.startswith(_MEMORY):
            return line.removeprefix("ltbench: the worker ")
    return ""


@contextlib.contextmanager
def _held_to(limits: Limits) -> Iterator[Callable[[], None]]:
    """Give what is to be called as each job begins. A job that exceeds its limits ends this process, and says so."""

    def begin() -> None:
        if limits.timeout is not None:
            # It needs nothing of Python, so that a job may hang wherever it likes, and it tells where that is.
            faulthandler.dump_traceback_later(limits.timeout, exit=True, file=_STDERR)

    over = threading.Event()
    if limits.memory is not None:
        threading.Thread(target=_watch_memory, args=(limits.memory, over), daemon=True).start()
    try:
        yield begin
    finally:
        over.set()
        faulthandler.cancel_dump_traceback_later()


def _watch_memory(allowed: int, over: threading.Event) -> None:
    while not over.wait(LOOK_SECONDS):
        used = resident(os.getpid()) or 0
        if used > allowed and not over.is_set():
            text = f"{_MEMORY} {size_text(used)} of memory, and {size_text(allowed)} are allowed\n"
            os.write(_STDERR, text.encode())
            os._exit(1)


def _check_process(here: Any, where: str) -> None:
    if here.state.nthreads != 1 or here.nanny is None:
        raise WorkerRefused(
            "a worker is not what jobs can run in",
            where=where,
            why=f"it has {here.state.nthreads} threads and {'no' if here.nanny is None else 'a'} nanny; "
            "a job needs a process to itself, and a nanny to replace it if it dies",
            fix="dask worker ADDRESS --nworkers N --nthreads 1 --nanny",
        )


@lru_cache(maxsize=2)
def _ready(setup: bytes) -> worker.Ready:
    """Return what this process makes of a setup, made once."""
    faulthandler.enable(file=_STDERR)
    _keep_logs_apart()
    return worker.Ready(pickle.loads(setup))  # noqa: S301 - as above


@cache
def _keep_logs_apart() -> None:
    """Have what Dask logs go where it went before: it is no part of a job's log."""
    before = os.fdopen(os.dup(_STDERR), "w", buffering=1)
    for name in ("", "distributed"):
        for handler in logging.getLogger(name).handlers:
            if isinstance(handler, logging.StreamHandler) and handler.stream in (sys.stderr, sys.__stderr__):
                handler.setStream(before)
