"""`ltbench plan`: show what a run would do and how long it would take."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ltbench.cli.asked_suite import asked_suite
from ltbench.cli.options import (
    device_option,
    load_registry,
    metric_option,
    per_gpu_option,
    plugin_options,
    suite_options,
)
from ltbench.cli.output import print_fact, print_json

if TYPE_CHECKING:
    from ltbench.registry.discovery import PluginSelection


@click.command("plan")
@suite_options
@metric_option
@plugin_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    help="Predict the time for this many workers.  [default: one per core, or --per-gpu on each GPU]",
)
@device_option
@per_gpu_option
@click.option("--cells", "with_cells", is_flag=True, help="List every cell with its id.")
def command(
    choice: PluginSelection,
    data_root: Path,
    store_path: Path,
    as_json: bool,
    workers: int | None,
    device: str,
    per_gpu: int,
    with_cells: bool,
    **asked: Any,
) -> None:
    """Show what a run would do: cells, jobs (shared, cached, stale), skipped combinations and predicted time."""
    from ltbench.cli.planned import planned

    registry = load_registry(choice)
    suite = asked_suite(registry, **asked)
    found = planned(
        suite,
        registry,
        store_path=store_path,
        data_root=data_root,
        device=device,
        workers=workers,
        listed=with_cells,
        per_gpu=per_gpu,
    )
    if as_json:
        print_json(found.facts)
        return
    for line in found.lines:
        print_fact(line)
    for line in found.cell_lines:
        click.echo(line)
