"""Jobs in this process, with a pause before each task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from ltbench import ExecutorOffer, Meta, hookimpl
from ltbench.executor import DEFAULTS, Terms

if TYPE_CHECKING:
    from ltbench.executor import Context, Executor, Outcome

LTBENCH_API = 1  # version of the ltbench hooks that this module implements


class MyExecutor(ExecutorOffer, frozen=True):
    """Run jobs one after another in this process, with a pause before each task.

    Source: FILL IN (what runs the jobs).
    """

    name = "my_executor"

    pause: Annotated[float, Meta(ge=0, description="seconds before each task")] = 0.1

    def make(self, context: Context, terms: Terms = DEFAULTS) -> Executor:
        """Return an executor with the methods of `ltbench.executor.Executor`."""
        import time

        from ltbench.executors.inline import Inline

        pause = self.pause

        class Pausing(Inline):
            def wait(self, timeout: float) -> list[Outcome]:
                time.sleep(pause)
                return super().wait(timeout)

        return Pausing(context, terms)


@hookimpl
def ltbench_executors() -> list[type[ExecutorOffer]]:
    return [MyExecutor]
