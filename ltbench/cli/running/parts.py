"""Runs a plan in parts: each part is planned, prepared, run and added to the page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ltbench.cli.running.local_page import check_page, write_local_page
from ltbench.cli.running.prepare import prepare
from ltbench.cli.writing import writing
from ltbench.core.atomic_files import check_writable
from ltbench.core.spec import is_partial
from ltbench.errors import Interrupted

if TYPE_CHECKING:
    from ltbench.cli.running.page_of_run import PageOfRun
    from ltbench.cli.running.part_sources import Part, PartSource
    from ltbench.executor import Context, Executor
    from ltbench.leaderboard.publish import SuiteFolder
    from ltbench.planning.plan import Plan
    from ltbench.running.events import Event, Summary
    from ltbench.running.observing import Observing
    from ltbench.running.options import RunOptions
    from ltbench.running.run_log import RunLog


class RunResult:
    """The results of the parts run so far."""

    def __init__(self) -> None:
        self.summaries: list[Summary] = []
        self.published: list[Path] = []
        self.shown: SuiteFolder | None = None
        self.stopped: Interrupted | None = None
        self.rest = ""
        """What is left where there are parts that were not started; empty if there are none."""
        self.combinations = 0
        """Combinations of the parts that were started; of a search, those that were run."""
        self.all_combinations = 0
        """Combinations of all parts."""
        self.failed_of_no_page = 0
        """Failed cells that are on no page: trials, and first halves of trainings."""
        self.failed_metrics: dict[str, dict[str, str]] = {}
        """Metric -> cell without its numbers -> why the metric failed."""

    def add_failed_metrics(self, plan: Plan, context: Context) -> None:
        """Add the metrics that failed, according to the records of a part."""
        for cell in plan.cells:
            for metric, message in context.store.failed_metrics(cell.key).items():
                # Ignore metrics that are no longer installed.
                if metric in context.registry.of("metric"):
                    self.failed_metrics.setdefault(metric, {})[cell.key] = message


def run_parts(
    source: PartSource, context: Context, executor: Executor, options: RunOptions,
    *, log: RunLog, page: PageOfRun, observing: Observing | None = None,
) -> RunResult:  # fmt: skip
    """Run the parts of a plan as far as budget and signals allow.

    page: where its records are shown. Once every part is done, training states kept for later parts are removed.
    Raises `StoreError` if the folder of the page cannot be written.
    """
    from ltbench.planning.without_sharing import without_sharing
    from ltbench.store.training_states import remove_states

    if options.sharing:
        # Fail before the first training, not after the last one.
        check_writable(page.folder, "the leaderboard", fix="make the folder writable, or use --leaderboards FOLDER")
        check_page(page, context.store)
    result = RunResult()
    parts = source.parts(executor.slots)
    foreseen: set[str] = set()
    budget = options.budget
    # The first part always runs, so that even with a short budget the page shows what is in the store.
    while result.stopped is None and (budget is None or not budget.is_spent or not result.summaries):
        part = next(parts, None)
        if part is None:
            break
        plan = part.plan
        if not result.summaries:
            result.all_combinations = source.combinations(plan)
        if not options.sharing:
            part = part._replace(plan=without_sharing(plan))
        _run_part(
            part, context, executor, options, log=log, page=page, result=result, source=source, observing=observing
        )
        foreseen |= plan.foreseen
    if (searched := source.searched) is not None:
        result.combinations = len({row.combination for row in searched.rows if row.cells})
    if result.stopped is None and next(parts, None) is not None:
        result.rest = source.rest(result.combinations)
    elif result.stopped is None:
        for fit in foreseen:
            remove_states(fit, context.store)
    return result


def _run_part(
    part: Part, context: Context, executor: Executor, options: RunOptions,
    *, log: RunLog, page: PageOfRun, result: RunResult, source: PartSource, observing: Observing | None,
) -> None:  # fmt: skip
    from ltbench.core.signals import catch_signals
    from ltbench.planning.without_sharing import compare_with_shared
    from ltbench.running.progress import Progress
    from ltbench.running.runner import run
    from ltbench.timing.estimate import Prediction

    plan = part.plan
    # Workers are started for the first part only.
    starts = log.run.executor if not result.summaries else None
    prediction = Prediction.of(plan, context, executor=starts)
    if part.about:
        click.echo(part.about, err=True)
    else:
        first, result.combinations = result.combinations + 1, result.combinations + plan.combinations
        if plan.combinations < result.all_combinations:
            click.echo(f"combinations {first:,} to {result.combinations:,} of {result.all_combinations:,}", err=True)
    status = prepare(plan, context, prediction, workers=executor.slots, options=options)
    # After one signal the run stops, but the page is still written.
    with Progress() as progress, catch_signals() as signals:

        def on_event(event: Event) -> None:
            progress(event)
            log(event)
            if observing is not None:
                observing(event)

        try:
            summary = run(
                plan, context, executor, options,
                prediction=prediction, keep_states=plan.foreseen, renew=status.derivable, on_event=on_event,
            )  # fmt: skip
            result.summaries.append(summary)
            result.failed_of_no_page += sum(is_partial(plan.jobs[key].spec) for key in summary.failed)
        except Interrupted as error:
            result.stopped = error
            log.interrupted()
        result.add_failed_metrics(plan, context)
        if options.sharing:
            with writing(page.folder):
                paths, shown = write_local_page(page, plan, context, source.tuned, source.searched)
            result.published, result.shown = paths or result.published, shown or result.shown
            if observing is not None and paths:
                observing.page_written(page.file)
        else:
            click.echo(compare_with_shared(plan, context.store), err=True)
    if signals and result.stopped is None:
        result.stopped = Interrupted(
            "stopped while the page was written", fix="run the command again; no result is lost"
        )
