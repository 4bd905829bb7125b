"""`ltbench run`: train what is missing of a suite and publish its leaderboard."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ltbench.cli.damage import telling_damage
from ltbench.cli.options import asked_suite, cell_options, load_registry, places_of, plugin_options, suite_options
from ltbench.cli.output import called, print_json
from ltbench.cli.preparing import prepare
from ltbench.cli.quantities import Size, Span
from ltbench.cli.reproducing import reproducing
from ltbench.errors import CELLS_FAILED, Interrupted

if TYPE_CHECKING:
    from ltbench.damage import Damage
    from ltbench.plan import Plan
    from ltbench.registry import Registry
    from ltbench.store import Store
    from ltbench.suite import Suite
    from ltbench.tally import Event, Summary


@click.command("run")
@suite_options
@click.option("--budget", type=Span(), metavar="TIME", help="Begin no more work after this time: 90s, 10m, 2h.")
@click.option(
    "--executor",
    "executor_name",
    default="local",
    show_default=True,
    metavar="NAME",
    help="Where jobs run: local (worker processes) or inline (this process, for debugging).",
)
@click.option("--workers", type=click.IntRange(min=1), metavar="N", help="Worker processes.  [default: one per core]")
@click.option(
    "--retries",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    metavar="N",
    help="How often a job is tried again whose worker died or passed a limit.",
)
@click.option("--timeout", type=Span(), metavar="TIME", help="A job that takes longer has failed.  [default: any time]")
@click.option(
    "--memory",
    type=Size(),
    metavar="SIZE",
    help="A job whose worker has more memory resident has failed: 500MB, 4GB.  [default: any size]",
)
@click.option(
    "--pdb",
    is_flag=True,
    help="With --executor inline: where a job raises, look around in Python's debugger; 'q' goes on with the next job.",
)
@click.option(
    "--retry-failed/--keep-failed",
    default=True,
    show_default=True,
    help="Whether cells that failed in an earlier run are tried again.",
)
@click.option(
    "--no-sharing",
    is_flag=True,
    help="Train every cell by itself and publish nothing: to measure what sharing saves.",
)
@click.option("--rerun-stale", is_flag=True, help="Train again what other versions of the plugins made.")
@click.option(
    "--leaderboards",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("leaderboards"),
    show_default=True,
    metavar="DIR",
    help="Where leaderboards are published.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON instead of the leaderboard.")
@cell_options
@plugin_options
def command(  # noqa: PLR0915
    plugin_files: Sequence[Path],
    disable: Sequence[str],
    data_root: Path,
    store_path: Path,
    budget: float | None,
    executor_name: str,
    workers: int | None,
    retries: int,
    timeout: float | None,
    memory: int | None,
    pdb: bool,
    retry_failed: bool,
    no_sharing: bool,
    rerun_stale: bool,
    folder: Path,
    as_json: bool,
    cell: str | None,
    records: Path | None,
    **asked: Any,
) -> int:  # fmt: skip
    """Train what is missing of a suite, show how far it is, and publish the leaderboard.

    Whatever was trained before, by any suite, is used again. A run that is stopped or killed goes on from where it
    was with the same command. With --cell it is one cell, and its numbers are set beside those on record.
    """
    from ltbench.executors import make_executor
    from ltbench.executors.debugger import chosen_work
    from ltbench.interrupts import heard
    from ltbench.plan import plan_parts
    from ltbench.prediction import Prediction
    from ltbench.probing import Patience
    from ltbench.progress import Progress
    from ltbench.runlog import RunLog
    from ltbench.runner import run
    from ltbench.states import forget
    from ltbench.store import Store
    from ltbench.unshared import compared, unshared
    from ltbench.work import Context

    work = chosen_work(executor_name, debug=pdb)
    registry = load_registry(plugin_files, disable)
    store = Store(store_path)
    context = Context(store=store, registry=registry, data_root=data_root)
    if cell is not None or records is not None:
        from ltbench.cli.alone import run_cell

        with make_executor(
            executor_name, context, workers=workers, timeout=timeout, memory=memory, work=work
        ) as executor:
            return run_cell(cell, places_of(records, folder), context, executor, retries=retries, as_json=as_json)
    suite = asked_suite(registry, **asked)
    deadline = None if budget is None else time.monotonic() + budget
    stopped: Interrupted | None = None
    summaries: list[Summary] = []
    published: list[Path] = []
    foreseen: set[str] = set()
    parts = plan_parts(suite, registry, data_root)
    with (
        telling_damage(store) as damaged,
        make_executor(executor_name, context, workers=workers, timeout=timeout, memory=memory, work=work) as executor,
        RunLog(store, command=called(), suite=suite.name, executor=executor_name, workers=executor.slots) as log,
        Patience(context) as patience,
    ):
        while stopped is None and (deadline is None or time.monotonic() < deadline or not summaries):
            plan = next(parts, None)
            if plan is None:
                break
            if no_sharing:
                plan = unshared(plan)
            prediction = Prediction.of(plan, store, registry, data_root, executor=None if summaries else executor_name)
            prepare(plan, store, registry, data_root, prediction, workers=executor.slots, rerun_stale=rerun_stale)
            # One signal lets the page of what is done be written, too.
            with Progress() as progress, heard() as signals:
                try:
                    summary = run(
                        plan,
                        context,
                        executor,
                        budget=None if deadline is None else max(deadline - time.monotonic(), 0.0),
                        retries=retries,
                        retry_failed=retry_failed,
                        prediction=prediction,
                        keep_states=plan.foreseen,
                        on_event=partial(_tell, (progress, log, patience)),
                    )
                    summaries.append(summary)
                except Interrupted as error:
                    stopped = error
                    log.interrupted()
                if no_sharing:
                    click.echo(compared(plan, store), err=True)
                else:
                    published = publish_suite(folder / suite.name, suite, plan, registry, store) or published
            foreseen |= plan.foreseen
            if signals and stopped is None:
                stopped = Interrupted("stopped as the page was written", fix="run it again: nothing of it is lost")
    more = stopped is None and next(parts, None) is not None
    if stopped is None and not more:
        for fit in foreseen:
            forget(fit, store)
    if log.problem:
        click.echo(f"warning: {log.problem}", err=True)
    if as_json:
        print_json(_facts(summaries, published, damaged()))
    elif published:
        from ltbench.cli.leaderboard import shown
        from ltbench.leaderboard.publish import load

        click.echo(shown(load(folder / suite.name)), nl=False)
        drawn = sum(path.suffix == ".svg" for path in published)
        names = [str(path) for path in published if path.suffix != ".svg"] + [f"{drawn} figures"] * bool(drawn)
        click.echo(f"written: {', '.join(names)}", err=True)
    if stopped is not None:
        raise stopped
    return _report(summaries, more=more)


def _tell(listeners: Sequence[Callable[[Event], None]], event: Event) -> None:
    for listener in listeners:
        listener(event)


def publish_suite(folder: Path, suite: Suite, plan: Plan, registry: Registry, store: Store) -> list[Path]:
    """Merge the records of a plan into a suite's leaderboard; return the files written, none without a record."""
    from ltbench.leaderboard.page import SuiteFacts
    from ltbench.leaderboard.publish import load, publish
    from ltbench.reported import as_recorded
    from ltbench.trusted import trusted_records

    keys = [cell.key for cell in plan.cells]
    records = list(trusted_records(keys, store))
    if not records:
        return []
    before = load(folder) if folder.is_dir() else None
    labels = {t.label for text in suite.techniques for t in registry.parse_all(text)}
    seeds = set(suite.seed_pairs())
    if before is not None:
        labels |= {label for record in before.records for _, label in record.techniques}
        seeds |= set(before.facts.seeds)
    facts = SuiteFacts(
        name=suite.name,
        title=suite.title,
        question=suite.question,
        notes=suite.notes,
        command=reproducing(suite, labels, seeds, registry),
        seeds=tuple(sorted(seeds)),
        unfinished=len(keys) - len(records),
        reported=tuple(one.named(registry) for one in suite.reported),
        claims=tuple(one.named(registry) for one in suite.claims),
        figures=suite.figures,
        highlight=None if suite.highlight is None else as_recorded(suite.highlight, registry),
    )
    return publish(folder, facts, records)


def _facts(summaries: Sequence[Summary], published: Sequence[Path], damaged: Sequence[Damage]) -> dict[str, Any]:
    return {
        "cells": sum(s.cells for s in summaries),
        "done": sum(s.done for s in summaries),
        "failed": [key for s in summaries for key in s.failed],
        "unfinished": sum(s.unfinished for s in summaries),
        "executed": {kind: sum(s.ran.get(kind, 0) for s in summaries) for kind in ("fit", "predict", "cell")},
        "seconds": sum(s.seconds for s in summaries),
        "written": [str(path) for path in published],
        "damaged": [{"key": one.key, "where": str(one.where), "why": one.why} for one in damaged],
    }


def _report(summaries: Sequence[Summary], *, more: bool) -> int:
    """Say what is left and return the exit code."""
    failed, unfinished = sum(len(s.failed) for s in summaries), sum(s.unfinished for s in summaries)
    if more:
        click.echo("more combinations are left; the same command goes on with them", err=True)
    elif unfinished:
        click.echo(f"{unfinished} cells are left; the same command goes on with them", err=True)
    if failed:
        click.echo(f"{failed} cells failed; the page has their logs", err=True)
        return CELLS_FAILED
    return 0
