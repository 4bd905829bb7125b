"""Looking around where a job raised, in Python's own debugger."""

from __future__ import annotations

import contextlib
import sys
import traceback
from typing import TYPE_CHECKING, TextIO

from ltbench.core.spec import Job
from ltbench.errors import StoreError, UsageError
from ltbench.executor import WORK, Work
from ltbench.executors.perform import prepared

if TYPE_CHECKING:
    from ltbench.executor import Context


def chosen_work(executor: str, *, debug: bool) -> str | Work:
    """Return what is to do a job on the executor of that name. Raises `UsageError` where it has no use for a debugger."""
    if debug and executor != "inline":
        raise UsageError("the debugger needs jobs that run in this process", fix="--executor inline --pdb")
    return debugged(WORK) if debug else WORK


def debugged(work: str | Work) -> Work:
    """Return work that stops in the debugger where a job raises, and raises when that is left. One process only.

    What the store raises is no fault of a job and goes its way.
    """
    plain = prepared(work)

    def stopping(job: Job, context: Context) -> None:
        try:
            plain(job, context)
        except StoreError:
            raise
        except Exception as error:
            _look_around(error, job)
            raise

    return stopping


def _look_around(error: Exception, job: Job) -> None:
    """Open the debugger in the frame that raised first: an error that wraps another was raised somewhere else."""
    first: BaseException = error
    while first.__cause__ is not None:
        first = first.__cause__
    # Jobs have stdout turned away from what may be read as data. In a terminal it is the user's again, because only
    # there does Python edit lines.
    with contextlib.redirect_stdout(_screen()):
        traceback.print_exception(error, file=sys.stdout)
        print(f"{job.kind} {job.key}: 'q' goes on with the next job, Ctrl-C stops the run after it")  # noqa: T201
        import pdb  # noqa: T100 - it is what was asked for

        pdb.post_mortem(first.__traceback__)


def _screen() -> TextIO:
    out = sys.__stdout__
    return out if out is not None and out.isatty() else sys.stderr
