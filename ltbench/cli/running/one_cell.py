"""`ltbench run --cell`: one cell trained from its record, and its numbers beside those on record."""

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

_MEANINGLESS = {
    "suite_name": "--suite", "plugins": "--plugins", "everything": "--all", "strategy": "--strategy",
    "max_techniques": "--max-techniques", "datasets": "--datasets", "models": "--models",
    "imbalance_factors": "--imbalance-factors", "seeds": "--seeds", "settings": "--set", "budget": "--budget",
    "rerun_stale": "--rerun-stale", "no_sharing": "--no-sharing", "retry_failed": "--keep-failed",
}  # fmt: skip
"""Options that say which cells are run, or for how long."""


def run_cell(
    cell: str | None,
    places: Sequence[RecordsLocation],
    context: Context,
    executor: Executor,
    *,
    retries: int,
    as_json: bool,
) -> int:
    """Make the cell in the store of `context`, unless it is there, and print how its numbers agree. Publish nothing."""
    from ltbench.records.agreement import agreement
    from ltbench.records.locations import find_cell
    from ltbench.running.progress import Progress
    from ltbench.verify.rerun import trained_again

    if cell is None:
        raise UsageError("--records says where a cell is on record, and no cell is named", fix="--cell ID")
    ctx = click.get_current_context()
    given = [
        option for name, option in _MEANINGLESS.items() if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE
    ]
    if given:
        raise UsageError(f"{given[0]} changes nothing beside --cell", why="a record says all that a cell is")
    before = find_cell(cell, places).record
    cached = context.store.status(before.id) == "ok"
    with Progress() as progress:
        after = trained_again([before], context, executor, retries=retries, on_event=progress)[before.id]
    found = agreement(before, after)
    if as_json:
        print_json({"id": before.id, "trained": not cached, "agreement": found, "record": after})
    else:
        _print(before, after, found)
    if cached:
        click.echo(
            f"nothing was trained: the cell is in the store {context.store.root}; another --store trains it anew",
            err=True,
        )
    return CELLS_FAILED if after.status == "failed" else 0


def _print(before: Record, after: Record, found: Agreement) -> None:
    s = before.setting
    click.echo(
        f"{before.id}  {before.label}\n{s.dataset}, profile {s.profile}, imbalance factor {s.imbalance_factor:g}, "
        f"{s.model}, subset seed {s.subset_seed}, seed {s.seed}\n"
    )
    if after.error is not None:
        click.echo(f"it failed: {after.error.type}: {after.error.message}")
        return
    print_table(
        ["metric", "on record", "now"],
        [[name, *(_number(one) for one in pair)] for name, pair in found.metrics.items()],
    )
    if before.status == "failed":
        click.echo("\nThe record is of a failure; now there are numbers.")
    elif found.same:
        click.echo("\nEvery number is the same, to the last bit.")
    else:
        unlike = f"; the machines differ: {', '.join(found.unlike)}" if found.unlike else ""
        click.echo(f"\nThe numbers differ{unlike}.")


def _number(value: float | None) -> str:
    return "n/a" if value is None else repr(value)
