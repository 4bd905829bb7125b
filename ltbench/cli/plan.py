"""`ltbench plan`: what a run would do, before anything runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ltbench.cli.options import asked_suite, load_registry, plugin_options, suite_options
from ltbench.cli.output import print_json, seconds_text

if TYPE_CHECKING:
    from ltbench.grid import LeftOut
    from ltbench.outlook import Outlook
    from ltbench.suite import Suite

SHOWN = 10


@click.command("plan")
@suite_options
@plugin_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--cells", "with_cells", is_flag=True, help="List every cell with its identity.")
def command(
    plugin_files: Sequence[Path],
    disable: Sequence[str],
    data_root: Path,
    store_path: Path,
    as_json: bool,
    with_cells: bool,
    **asked: Any,
) -> None:
    """Show what a run would do: cells, jobs, what is shared, cached, stale or left out, and the time it takes."""
    from ltbench.outlook import outlook
    from ltbench.plan import plan_parts
    from ltbench.store import Store

    registry = load_registry(plugin_files, disable)
    suite = asked_suite(registry, **asked)
    store = Store(store_path)
    left_out: list[LeftOut] = []
    cells: list[dict[str, Any]] = []
    view: Outlook | None = None
    for part in plan_parts(suite, registry, data_root):
        seen = outlook(part, store, registry)
        view = seen if view is None else view + seen
        left_out += part.left_out
        if with_cells:
            cells += [{"id": c.key, **c.extra["setting"], "combination": label(c.extra)} for c in part.cells]
    assert view is not None, "a plan has at least one part"
    if as_json:
        print_json(_facts(suite, view, left_out) | ({"list": cells} if with_cells else {}))
    else:
        _print(suite, view, left_out)
        for cell in cells:
            click.echo(
                f"{cell['id']}  {cell['dataset']}  {cell['profile']} {cell['imbalance_factor']:g}  {cell['model']}  "
                f"seed {cell['subset_seed']}/{cell['seed']}  {cell['combination']}"
            )


def _facts(suite: Suite, view: Outlook, left_out: Sequence[LeftOut]) -> dict[str, Any]:
    return {
        "suite": suite.name,
        "cells": view.jobs["cell"],
        "cells_done": view.cells_done,
        "cells_failed_before": len(view.failed),
        "jobs": view.jobs,
        "missing": view.missing,
        "trainings_naive": view.trainings_naive,
        "passes": view.passes,
        "passes_naive": view.passes_naive,
        "stale": view.stale,
        "left_out": [{"combination": out.combination.label, "reason": out.reason} for out in left_out],
        "predicted_seconds": view.seconds,
    }


def _print(suite: Suite, view: Outlook, left_out: Sequence[LeftOut]) -> None:
    jobs, missing = view.jobs, view.missing
    click.echo(f"suite {suite.name}: {suite.title}")
    click.echo(f"cells       {jobs['cell']}, of which {view.cells_done} are done" + _again(view))
    if jobs["fit"]:
        ratio = view.trainings_naive / jobs["fit"]
        click.echo(
            f"trainings   {jobs['fit']} for {jobs['cell']} cells; cell by cell it would be {view.trainings_naive} "
            f"(x{ratio:.1f})"
        )
        click.echo(
            f"cost        {_big(view.passes)} passes of an image; cell by cell it would be {_big(view.passes_naive)} "
            f"(x{view.passes_naive / view.passes:.1f})"
        )
    for kind, name in (("fit", "to train"), ("predict", "to predict"), ("cell", "to derive")):
        click.echo(f"{name:11} {missing[kind]} of {jobs[kind]}")
    if view.stale:
        click.echo(f"stale       {len(view.stale)} cells were made by other plugin versions and are kept as they are:")
        for line in sorted({line for lines in view.stale.values() for line in lines})[:SHOWN]:
            click.echo(f"            {line}")
        click.echo("            ltbench run --rerun-stale trains them again")
    if left_out:
        click.echo(f"left out    {len(left_out)} combinations:")
        for out in left_out[:SHOWN]:
            click.echo(f"            {out.combination.label}: {out.reason}")
        if len(left_out) > SHOWN:
            click.echo(f"            and {len(left_out) - SHOWN} more (--json shows all)")
    if not missing["cell"]:
        click.echo("time        nothing is left to do")
    elif view.seconds is None:
        click.echo("time        not known: nothing alike was trained on this store yet")
    else:
        click.echo(f"time        about {seconds_text(view.seconds)} of training for one worker, from past trainings")


def _big(number: float) -> str:
    """Return a large number as people say it.

    >>> _big(12_345_678), _big(950)
    ('12.3 million', '950')
    """
    for size, name in ((1e12, "trillion"), (1e9, "billion"), (1e6, "million")):
        if number >= size:
            return f"{number / size:.1f} {name}"
    return f"{number:,.0f}"


def _again(view: Outlook) -> str:
    return f"; {len(view.failed)} failed before and are tried again" if view.failed else ""


def label(extra: dict[str, Any]) -> str:
    """Return the combination of a cell as a leaderboard writes it."""
    return " + ".join(text for text in extra["combination"].values() if text) or "baseline"
