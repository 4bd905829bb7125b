"""The worker's side of the Dask executor.

The worker may have been started by hand, for another user, or with other versions, so everything is checked.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import time
from collections.abc import Collection
from functools import cache
from typing import Any

from distributed import get_worker

from ltbench.errors import LtbenchError, StoreError, WorkerRefused
from ltbench.executors.remote import run_task

Answer = dict[str, Any]
"""`outcomes` of the jobs, empty if another worker has started the task, and `replace`, the address of a worker whose
process has to be replaced; or `refused`, an error as plain text, which other versions of ltbench can read, too."""
_STDERR = 2
_running = ""
"""The task that this process runs."""
_changed = False
"""Whether a technique has changed the state of this process, so that it must not run further jobs."""
_LEAVE_SECONDS = 5.0
"""Seconds after which a process whose state has changed ends itself, if the command has not ended it."""
_stopped: set[str] = set()
"""Tasks of stopped commands, which may still arrive here."""


def run(name: str, message: bytes) -> Answer:
    """Run the task with this name; see `run_task`."""
    global _running, _changed  # noqa: PLW0603 - a process runs one task at a time
    here = get_worker()
    where = f"worker {here.address} on {socket.gethostname()}"
    _running = name  # from here on, `end` ends this process
    try:
        if name in _stopped:
            return {"outcomes": []}
        if _changed:
            time.sleep(_LEAVE_SECONDS)
            os._exit(1)  # the task was not started, so it is submitted again
        _check_process(here, where)
        _keep_logs_apart()
        outcomes = run_task(message, where)
        _changed = any(outcome.changed for outcome in outcomes)
        return {"outcomes": outcomes} | ({"replace": here.address} if _changed else {})
    except StoreError:
        raise
    except WorkerRefused as error:
        return _refusal(error)
    except LtbenchError as error:
        return _refusal(WorkerRefused("a worker cannot load the command's plugins", where=where, why=str(error),
                                      fix="install them at the same path on every machine"))  # fmt: skip
    finally:
        _running = ""


def _refusal(error: WorkerRefused) -> Answer:
    return {"refused": (error.what, error.where, error.why, error.fix)}


async def end(tasks: Collection[str]) -> None:
    """End this process if it runs one of these tasks, and never start the others. The nanny starts a new process."""
    _stopped.update(tasks)
    if _running in tasks:
        os._exit(1)


async def leave() -> None:
    """End this process; the nanny starts a new one."""
    os._exit(1)


def _check_process(here: Any, where: str) -> None:
    if here.state.nthreads != 1 or here.nanny is None:
        raise WorkerRefused(
            "a worker cannot run jobs",
            where=where,
            why=f"it has {here.state.nthreads} threads and {'no' if here.nanny is None else 'a'} nanny; "
            "a job needs its own process, and a nanny to replace it if it dies",
            fix="dask worker ADDRESS --nworkers N --nthreads 1 --nanny",
        )


@cache
def _keep_logs_apart() -> None:
    """Keep Dask's logs out of the jobs' logs: send them to the original stderr."""
    before = os.fdopen(os.dup(_STDERR), "w", buffering=1)
    for name in ("", "distributed"):
        for handler in logging.getLogger(name).handlers:
            if isinstance(handler, logging.StreamHandler) and handler.stream in (sys.stderr, sys.__stderr__):
                handler.setStream(before)
    logging.getLogger("distributed.worker").addFilter(_is_no_lost_heartbeat)


def _is_no_lost_heartbeat(record: logging.LogRecord) -> bool:
    """Leave out the traceback of a heartbeat that meets a closed connection, as when a command ends and closes its scheduler.

    Dask tries again; a scheduler that is lost is told by the command, and by the worker that closes.
    """
    return not ("heartbeat" in record.getMessage() and record.exc_info and isinstance(record.exc_info[1], OSError))
