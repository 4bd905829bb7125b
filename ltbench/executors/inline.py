"""Jobs in this process, one after another: for debugging, and for tests."""

from __future__ import annotations

import contextlib
import sys
import time
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

from ltbench.core.spec import Job
from ltbench.errors import UsageError, WorkerRefused
from ltbench.executor import DEFAULTS, Outcome, Terms
from ltbench.executors.perform import perform, prepared

if TYPE_CHECKING:
    from ltbench.executor import Context


class Inline:
    """Does a task within `wait`. A debugger works, and a job that kills its process kills the run.

    The state of the process is put back after each job; where that is impossible, no further job is done. It has one
    worker, however many are asked for. Raises `UsageError` for a limit.
    """

    def __init__(self, context: Context, terms: Terms = DEFAULTS) -> None:
        for option, value in (("--timeout", terms.timeout), ("--memory", terms.memory)):
            if value is not None:
                raise UsageError(
                    f"the inline executor cannot enforce {option}",
                    why="jobs run in the process of the command, and ending one would end the run",
                    fix=f"leave {option} out, or use --executor local",
                )
        self.context = context
        self.work = prepared(terms.work)
        self._tasks: deque[Sequence[Job]] = deque()
        self._left = ""
        """What a technique has changed in this process that cannot be put back."""

    @property
    def slots(self) -> int:
        """One."""
        return 1

    def submit(self, jobs: Sequence[Job]) -> None:
        """Take a task."""
        self._tasks.append(jobs)

    def wait(self, timeout: float) -> list[Outcome]:
        """Do the next task and return its outcomes; without a task, sleep."""
        if not self._tasks:
            time.sleep(timeout)
            return []
        if self._left:
            raise WorkerRefused(
                "no more jobs can run in this process",
                why=f"a technique has changed {self._left}, which cannot be put back; the cells that failed name it",
                fix="leave it out, or use --executor local, which starts a new process after such a job",
            )
        # stdout is for data, and what a plugin prints is not.
        with contextlib.redirect_stdout(sys.stderr):
            outcomes = list(perform(self._tasks.popleft(), self.context, self.work))
        for outcome in outcomes:
            self._left = outcome.left or self._left
            if outcome.error:
                self.context.store.put_log(outcome.key, outcome.error["log"])
        return outcomes

    def stop(self) -> None:
        """Forget the tasks that were not started."""
        self._tasks.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()
