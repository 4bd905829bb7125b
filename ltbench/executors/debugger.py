"""Stops in Python's debugger where a job raised."""

from __future__ import annotations

import contextlib
import functools
import sys
import traceback
from typing import TYPE_CHECKING

from ltbench.core.spec import Job
from ltbench.errors import StoreError, UsageError
from ltbench.executor import WORK, Work
from ltbench.executors.perform import prepared

if TYPE_CHECKING:
    from ltbench.executor import Context


def chosen_work(executor: str, *, debug: bool) -> str | Work:
    """Return the work for the executor of that name. Raises `UsageError` if a debugger cannot work there."""
    if debug and executor != "inline":
        raise UsageError("the debugger needs jobs that run in this process", fix="--executor inline --pdb")
    return debugged(WORK) if debug else WORK


def debugged(work: str | Work) -> Work:
    """Return work that opens the debugger where a job raises, and raises when the debugger is left.

    Errors of the store are raised as they are: they are no fault of the job.
    """
    plain = prepared(work)

    @functools.wraps(plain)
    def stopping(job: Job, context: Context) -> None:
        try:
            plain(job, context)
        except StoreError:
            raise
        except Exception as error:
            _debug(error, job)
            raise

    return stopping


def _debug(error: Exception, job: Job) -> None:
    """Open the debugger in the frame of the first cause: a wrapping error was raised somewhere else."""
    first: BaseException = error
    while first.__cause__ is not None:
        first = first.__cause__
    # Inline redirects stdout, which is for data. The debugger gets a terminal back, as Python edits lines only there.
    out = sys.__stdout__
    with contextlib.redirect_stdout(out if out is not None and out.isatty() else sys.stderr):
        traceback.print_exception(error, file=sys.stdout)
        print(f"{job.kind} {job.key}: 'q' continues with the next job, Ctrl-C stops the run after it")  # noqa: T201
        import pdb  # noqa: T100 - it is what was asked for

        pdb.post_mortem(first.__traceback__)
