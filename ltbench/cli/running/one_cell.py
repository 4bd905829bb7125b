"""`ltbench run --cell`: rerun one cell from its record, and compare the numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from ltbench.cli.output import print_json, print_table
from ltbench.errors import CELLS_FAILED, UsageError

if TYPE_CHECKING:
    from ltbench.executor import Context, Executor
    from ltbench.records.agreement import Agreement
    from ltbench.records.locations import RecordsLocation
    from ltbench.records.record import Record
    from ltbench.running.options import RunOptions

_WITHOUT_EFFECT = {
    "suite_name": "--suite", "plugins": "--plugins", "everything": "--all", "strategy": "--strategy",
    "max_techniques": "--max-techniques", "datasets": "--datasets", "profiles": "--profiles", "models": "--models",
    "imbalance_factors": "--imbalance-factors", "seeds": "--seeds", "settings": "--set", "held_out": "--held-out", "budget": "--budget",
    "rerun_stale": "--rerun-stale", "no_sharing": "--no-sharing", "retry_failed": "--keep-failed",
    "name": "--name", "is_published": "--publish", "is_replaced": "--replace", "metric": "--metric",
}  # fmt: skip
"""Options that select cells or limit a run."""


def asked_record(cell: str | None, places: Sequence[RecordsLocation]) -> Record:
    """Return the record of the cell that is asked for. Raises `UsageError` for options that have no effect on it."""
    from ltbench.records.locations import find_cell

    if cell is None:
        raise UsageError("--records needs --cell", fix="--cell ID")
    ctx = click.get_current_context()
    for name, option in _WITHOUT_EFFECT.items():
        if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise UsageError(
                f"{option} has no effect with --cell", why="the record specifies everything that the cell depends on"
            )
    return find_cell(cell, places).record


def run_cell(before: Record, context: Context, executor: Executor, options: RunOptions, *, as_json: bool) -> int:
    """Compute the cell of a record unless the store has it, and print whether the numbers agree. Writes no page."""
    from ltbench.records.agreement import agreement
    from ltbench.running.progress import Progress
    from ltbench.verification.rerun import retrain

    cached = context.store.status(before.id) == "ok"
    with Progress() as progress:
        after = retrain([before], context, executor, options, on_event=progress)[before.id]
    comparison = agreement(before, after)
    if as_json:
        print_json({"id": before.id, "trained": not cached, "agreement": comparison, "record": after})
    else:
        _print(before, after, comparison)
    if cached:
        click.echo(
            f"nothing was trained: the cell is already in the store {context.store.root}; to rerun it, use another --store",
            err=True,
        )
    return CELLS_FAILED if after.status == "failed" else 0


def _print(before: Record, after: Record, comparison: Agreement) -> None:
    s = before.setting
    click.echo(
        f"{before.id}  {before.label}\n{s.dataset}, profile {s.profile}, imbalance factor {s.imbalance_factor:g}, "
        f"{s.model}, subset seed {s.subset_seed}, seed {s.seed}\n"
    )
    if after.error is not None:
        click.echo(f"the cell failed: {after.error.type}: {after.error.message}")
        return
    numbers = [[name, *("n/a" if n is None else repr(n) for n in pair)] for name, pair in comparison.metrics.items()]
    print_table(["metric", "on record", "now"], numbers)
    if before.status == "failed":
        click.echo("\nAccording to the record, the cell failed; this time it succeeded.")
    elif comparison.same:
        click.echo("\nAll numbers are bit-identical.")
    else:
        unlike = f"; the machines differ: {', '.join(comparison.unlike)}" if comparison.unlike else ""
        click.echo(f"\nThe numbers differ{unlike}.")
