"""`ltbench status`: show the runs of a store, from any terminal or machine."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ltbench.cli.options import store_option
from ltbench.cli.output import print_json, print_table
from ltbench.core.units import duration
from ltbench.core.words import counted

if TYPE_CHECKING:
    from ltbench.running.store_status import ObservedRun, Status

SHOWN_JOBS = 16


@click.command("status")
@store_option
@click.option(
    "--last",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    metavar="N",
    help="Number of recent runs to show.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(store_path: Path, last: int, as_json: bool) -> None:
    """Show the active and recent runs of a store.

    Runs of all machines that share the store are shown. The command only reads.
    """
    from ltbench.running.store_status import store_status
    from ltbench.store.store import Store

    status = store_status(Store(store_path), last)
    if as_json:
        print_json(status)
    else:
        _print(status)


def _print(status: Status) -> None:
    if not (status.running or status.recent or status.held):
        click.echo(f"no runs on {status.store} yet")
        return
    click.echo(f"store {status.store}")
    for run in status.running:
        _print_running(run)
    if not status.running:
        click.echo("no active runs")
    for held in status.held:
        click.echo(f"job {held.key[:12]}: running in process {held.pid} on {held.host}")
    if status.recent:
        click.echo("")
        print_table(
            ("began", "took", "state", "cells done", "failed", "predicted", "actual", "command"),
            [_row(run) for run in status.recent],
        )
        if any(run.parts for run in status.recent):
            click.echo("predicted: duration of the last part, after a tenth of its work (in brackets: at its start)")


def _print_running(run: ObservedRun) -> None:
    elapsed = duration((datetime.now(UTC) - datetime.fromisoformat(run.began)).total_seconds())
    click.echo(
        f"running: {shlex.join(run.command)}\n"
        f"  on {run.host}, process {run.pid}, {run.executor} with {counted(run.workers, 'worker')}, since {run.began} ({elapsed})\n"
        f"  cells {run.done}/{run.cells} done, {run.failed} failed; jobs {run.jobs_done}/{run.jobs}; "
        + ("time remaining unknown" if run.eta is None else f"ETA {duration(max(0.0, run.eta - run.quiet))}")
    )
    for job in run.in_flight[:SHOWN_JOBS]:
        click.echo(f"  {job.kind:7} {job.key[:12]}  {duration(job.seconds + run.quiet):>12}  {job.about}")
    if len(run.in_flight) > SHOWN_JOBS:
        click.echo(f"  and {len(run.in_flight) - SHOWN_JOBS} more jobs")


def _row(run: ObservedRun) -> tuple[object, ...]:
    predicted = actual = "-"
    if run.parts and run.parts[-1].guesses:
        start, *later = run.parts[-1].guesses
        first = later[0] if later else start
        predicted = f"{_span(first.predicted)} ({_span(start.predicted)})"
        actual = duration(run.parts[-1].seconds) + ("" if first.ratio is None else f", x{first.ratio:.2f}")
    cells = f"{run.done}/{run.cells}"
    return (
        run.began, duration(run.seconds), run.state, cells, run.failed, predicted, actual, shlex.join(run.command),
    )  # fmt: skip


def _span(seconds: float | None) -> str:
    return "unknown" if seconds is None else duration(seconds)
