"""`ltbench run`: train what is missing of a suite and publish its leaderboard."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ltbench.cli.options import (
    asked_suite,
    cell_options,
    leaderboards_option,
    load_registry,
    places_of,
    plugin_options,
    suite_options,
)
from ltbench.cli.output import called, print_json
from ltbench.cli.running.damage import telling_damage
from ltbench.cli.running.parts import Walk
from ltbench.cli.units import Size, Span
from ltbench.errors import CELLS_FAILED

if TYPE_CHECKING:
    from ltbench.leaderboard.publish import SuiteFolder
    from ltbench.registry.discovery import PluginSelection
    from ltbench.store.quarantine import Damage

SHOWN = 20
"""Rows of a table that a run prints at its end."""


@click.command("run")
@suite_options
@click.option("--budget", type=Span(), metavar="TIME", help="Begin no more work after this time: 90s, 10m, 2h.")
@click.option(
    "--executor",
    "executor_name",
    metavar="NAME[OPTIONS]",
    help="Where jobs run: local (worker processes), inline (this process, for debugging), "
    "dask[scheduler=tcp://host:port] (other machines), or a plugin's.  [default: the suite's, else local]",
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
@leaderboards_option
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON instead of the leaderboard.")
@cell_options
@plugin_options
def command(
    choice: PluginSelection,
    data_root: Path,
    store_path: Path,
    budget: float | None,
    executor_name: str | None,
    workers: int | None,
    retries: int,
    timeout: float | None,
    memory: int | None,
    pdb: bool,
    retry_failed: bool,
    no_sharing: bool,
    rerun_stale: bool,
    leaderboards: Path,
    as_json: bool,
    cell: str | None,
    records: Path | None,
    **asked: Any,
) -> int:  # fmt: skip
    """Train what is missing of a suite, show how far it is, and publish the leaderboard.

    Whatever was trained before, by any suite, is used again. A run that is stopped or killed goes on from where it
    was with the same command. With --cell it is one cell, and its numbers are set beside those on record.
    """
    from ltbench.executor import Context, Terms
    from ltbench.executors.debugger import chosen_work
    from ltbench.running.prober import Patience
    from ltbench.running.run_log import RunLog
    from ltbench.store.store import Store

    registry = load_registry(choice)
    store = Store(store_path)
    context = Context(store=store, registry=registry, data_root=data_root)
    if cell is not None or records is not None:
        from ltbench.cli.running.one_cell import run_cell

        alone = registry.executor(executor_name or "local")
        terms = Terms(workers=workers, timeout=timeout, memory=memory, work=chosen_work(alone.name, debug=pdb))
        with alone.make(context, terms) as executor:
            return run_cell(cell, places_of(records, leaderboards), context, executor, retries=retries, as_json=as_json)
    suite = asked_suite(registry, **asked)
    offer = registry.executor(executor_name or suite.executor or "local")
    terms = Terms(workers=workers, timeout=timeout, memory=memory, work=chosen_work(offer.name, debug=pdb))
    walk = Walk(suite, context, leaderboards / suite.name, sharing=not no_sharing)
    with (
        telling_damage(store) as damaged,
        offer.make(context, terms) as executor,
        RunLog(store, command=called(), suite=suite.name, executor=offer.name, workers=executor.slots) as log,
        Patience(context) as patience,
    ):
        walk.go(
            executor, offer.name, log, [patience], budget=budget, retries=retries, retry_failed=retry_failed,
            rerun_stale=rerun_stale,
        )  # fmt: skip
    if log.problem:
        click.echo(f"warning: {log.problem}", err=True)
    if as_json:
        print_json(_facts(walk, damaged()))
    elif walk.shown is not None:
        _show(walk.shown, walk.published)
    elif (page := leaderboards / suite.name / "README.md").is_file() and not no_sharing:
        click.echo(f"up to date: {page}; ltbench leaderboard {suite.name} prints it", err=True)
    if walk.stopped is not None:
        raise walk.stopped
    return _report(walk)


def _show(loaded: SuiteFolder, published: Sequence[Path]) -> None:
    from ltbench.cli.leaderboard import fitted_text

    click.echo(fitted_text(loaded, most=SHOWN), nl=False)
    drawn = sum(path.suffix == ".svg" for path in published)
    names = [str(path) for path in published if path.suffix != ".svg"] + [f"{drawn} figures"] * bool(drawn)
    click.echo(f"written: {', '.join(names)}", err=True)


def _facts(walk: Walk, damaged: Sequence[Damage]) -> dict[str, Any]:
    summaries = walk.summaries
    return {
        "cells": sum(s.cells for s in summaries),
        "done": sum(s.done for s in summaries),
        "failed": [key for s in summaries for key in s.failed],
        "unfinished": sum(s.unfinished for s in summaries),
        "executed": {kind: sum(s.ran.get(kind, 0) for s in summaries) for kind in ("fit", "predict", "cell")},
        "seconds": sum(s.seconds for s in summaries),
        "written": [str(path) for path in walk.published],
        "damaged": [{"key": one.key, "where": str(one.where), "why": one.why} for one in damaged],
    }


def _report(walk: Walk) -> int:
    """Say what is left and return the exit code."""
    summaries = walk.summaries
    failed, unfinished = sum(len(s.failed) for s in summaries), sum(s.unfinished for s in summaries)
    if walk.more:
        click.echo("more combinations are left; the same command goes on with them", err=True)
    elif unfinished:
        click.echo(f"{unfinished} cells are left; the same command goes on with them", err=True)
    if failed:
        click.echo(f"{failed} cells failed; the page has their logs", err=True)
        return CELLS_FAILED
    return 0
