"""Opens Python's debugger where a job raised."""

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
    """Return the work function for the executor of that name. Raises `UsageError` if a debugger cannot work there."""
    if debug and executor != "inline":
        raise UsageError("the debugger needs jobs that run in this process", fix="--executor inline --pdb")
    return debugged(WORK) if debug else WORK


def debugged(work: str | Work) -> Work:
    """Return a work function that opens the debugger where a job raises, and then raises the error.

    Errors of the store are raised unchanged: they are not errors of the job.
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
    """Open the debugger in the frame of the first cause, because wrapping errors are raised elsewhere."""
    first: BaseException = error
    while first.__cause__ is not None:
        first = first.__cause__
    # The inline executor redirects stdout, which is for data. The debugger needs a terminal for line editing.
    out = sys.__stdout__
    with contextlib.redirect_stdout(out if out is not None and out.isatty() else sys.stderr):
        traceback.print_exception(error, file=sys.stdout)
        print(f"{job.kind} {job.key}: 'q' continues with the next job, Ctrl-C stops the run after that")  # noqa: T201
        import pdb  # noqa: T100 - it is what was asked for

        pdb.post_mortem(first.__traceback__)
