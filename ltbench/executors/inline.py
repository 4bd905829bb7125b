"""Jobs in this process, one after another: for debugging and tests."""

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
    """Runs tasks within `wait`. A debugger works, and a job that kills its process kills the run.

    The state of the process is restored after each job; if that is impossible, no further job runs. There is always one
    worker. Raises `UsageError` for limits of time or memory.
    """

    def __init__(self, context: Context, terms: Terms = DEFAULTS) -> None:
        for option, value in (("--timeout", terms.timeout), ("--memory", terms.memory)):
            if value is not None:
                raise UsageError(
                    f"the inline executor cannot enforce {option}",
                    why="jobs run in the process of the command, so killing one would end the run",
                    fix=f"remove {option}, or use --executor local",
                )
        self.context = context
        self.work = prepared(terms.work)
        self._tasks: deque[Sequence[Job]] = deque()
        self._left = ""
        """Changes of this process by a technique that cannot be undone."""

    @property
    def slots(self) -> int:
        """One."""
        return 1

    def submit(self, jobs: Sequence[Job]) -> None:
        """Submit a task."""
        self._tasks.append(jobs)

    def wait(self, timeout: float) -> list[Outcome]:
        """Run the next task and return its outcomes; without a task, sleep."""
        if not self._tasks:
            time.sleep(timeout)
            return []
        if self._left:
            raise WorkerRefused(
                "no further job can run in this process",
                why=f"a technique has changed {self._left}, which cannot be undone; the failed cells name it",
                fix="leave the technique out, or use --executor local, which starts a new process after such a job",
            )
        # stdout is for data, so redirect what plugins print.
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
