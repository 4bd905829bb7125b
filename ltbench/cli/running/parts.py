"""The walk of a run through the parts of a plan: each is planned, prepared, run and published."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ltbench.cli.running.prepare import prepare
from ltbench.cli.running.publish import publish_suite
from ltbench.errors import Interrupted

if TYPE_CHECKING:
    from ltbench.executor import Context, Executor
    from ltbench.leaderboard.publish import SuiteFolder
    from ltbench.planning.plan import Plan
    from ltbench.running.events import Event, Summary
    from ltbench.running.run_log import RunLog
    from ltbench.suite.suite import Suite
    from ltbench.timing.estimate import Prediction


class Walk:
    """A run through all parts of a suite's plan, and what it has come to so far."""

    def __init__(self, suite: Suite, context: Context, folder: Path, *, sharing: bool) -> None:
        """folder: where the suite's leaderboard is published. sharing: off, every cell trains for itself."""
        from ltbench.planning.parts import plan_parts

        self._suite, self._context, self._folder, self._sharing = suite, context, folder, sharing
        self._parts = plan_parts(suite, context.registry, context.data_root)
        self._foreseen: set[str] = set()
        self.summaries: list[Summary] = []
        self.published: list[Path] = []
        self.shown: SuiteFolder | None = None
        self.stopped: Interrupted | None = None
        self.more = False
        """Whether parts are left that were not begun."""

    def go(
        self,
        executor: Executor,
        executor_name: str,
        log: RunLog,
        listeners: Sequence[Callable[[Event], None]],
        *,
        budget: float | None,
        retries: int,
        retry_failed: bool,
        rerun_stale: bool,
    ) -> None:
        """Go as far as budget and signals allow; afterwards no state is left that nobody goes on from."""
        from ltbench.planning.without_sharing import without_sharing
        from ltbench.store.training_states import remove_states
        from ltbench.timing.estimate import Prediction

        context = self._context
        deadline = None if budget is None else time.monotonic() + budget
        while self.stopped is None and (deadline is None or time.monotonic() < deadline or not self.summaries):
            plan = next(self._parts, None)
            if plan is None:
                break
            if not self._sharing:
                plan = without_sharing(plan)
            first = executor_name if not self.summaries else None
            prediction = Prediction.of(plan, context.store, context.registry, context.data_root, executor=first)
            prepare(
                plan, context.store, context.registry, context.data_root, prediction, workers=executor.slots,
                rerun_stale=rerun_stale,
            )  # fmt: skip
            left = None if deadline is None else max(deadline - time.monotonic(), 0.0)
            self._part(
                plan, executor, prediction, log, listeners, budget=left, retries=retries, retry_failed=retry_failed
            )
            self._foreseen |= plan.foreseen
        self.more = self.stopped is None and next(self._parts, None) is not None
        if self.stopped is None and not self.more:
            for fit in self._foreseen:
                remove_states(fit, context.store)

    def _part(
        self,
        plan: Plan,
        executor: Executor,
        prediction: Prediction,
        log: RunLog,
        listeners: Sequence[Callable[[Event], None]],
        *,
        budget: float | None,
        retries: int,
        retry_failed: bool,
    ) -> None:
        from ltbench.core.signals import catch_signals
        from ltbench.planning.without_sharing import compare_with_shared
        from ltbench.running.progress import Progress
        from ltbench.running.runner import run

        context = self._context
        # One signal lets the page of what is done be written, too.
        with Progress() as progress, catch_signals() as signals:
            try:
                summary = run(
                    plan,
                    context,
                    executor,
                    budget=budget,
                    retries=retries,
                    retry_failed=retry_failed,
                    prediction=prediction,
                    keep_states=plan.foreseen,
                    on_event=partial(_tell, (progress, log, *listeners)),
                )
                self.summaries.append(summary)
            except Interrupted as error:
                self.stopped = error
                log.interrupted()
            if self._sharing:
                paths, shown = publish_suite(self._folder, self._suite, plan, context.registry, context.store)
                self.published, self.shown = paths or self.published, shown or self.shown
            else:
                click.echo(compare_with_shared(plan, context.store), err=True)
        if signals and self.stopped is None:
            self.stopped = Interrupted("stopped as the page was written", fix="run it again: nothing of it is lost")


def _tell(listeners: Sequence[Callable[[Event], None]], event: Event) -> None:
    for listener in listeners:
        listener(event)
