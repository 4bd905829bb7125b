"""`ltbench verify`: check records, recompute their metrics and rerun some of their cells."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ltbench.cli.options import find_page, leaderboards_option, load_registry, plugin_options
from ltbench.cli.output import print_json
from ltbench.cli.paths import PathOption
from ltbench.core.devices import AUTO
from ltbench.core.folders import data_root as default_root

if TYPE_CHECKING:
    from ltbench.registry.discovery import PluginSelection


@click.command("verify")
@click.argument("path")
@click.option("--rerun", "count", type=click.IntRange(min=0), default=0, show_default=True, metavar="K",
              help="Rerun K valid cells, drawn at random so that they cover as many techniques as possible.")  # fmt: skip
@click.option("--seed", type=click.IntRange(min=0), metavar="N",
              help="Seed of the random draw of cells.  [default: random]")  # fmt: skip
@click.option("--tolerance", type=click.FloatRange(min=0, max=1), metavar="T",
              help="Allowed difference of top-1 accuracies, such as 0.01.  [default: identical numbers on the same "
                   "type of machine, 0.02 on another]")  # fmt: skip
@click.option("--dry", is_flag=True, help="Do not write verified.json.")
@click.option("--executor", "executor_name", default="local", show_default=True, metavar="NAME",
              help="Where jobs run: local or inline.")  # fmt: skip
@click.option("--device", default=AUTO, show_default=True, metavar="NAME",
              help="What computes: cpu, cuda, cuda:0,1, or auto: what the records were made on, a processor or GPUs.")  # fmt: skip
@click.option("--workers", type=click.IntRange(min=1), metavar="N", help="Worker processes.  [default: one per core]")
@click.option("--data-root", type=PathOption(file_okay=False), default=default_root,
              help="Folder of data sets.  [default: $LTBENCH_DATA, else that which `ltbench data` shows]")  # fmt: skip
@leaderboards_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@plugin_options
def command(
    path: str,
    count: int,
    seed: int | None,
    tolerance: float | None,
    dry: bool,
    executor_name: str,
    device: str,
    workers: int | None,
    data_root: Path,
    leaderboards: Path,
    as_json: bool,
    choice: PluginSelection,
) -> int:
    """Verify the records of PATH: a records file, a suite's folder or name, or a store.

    For every record, checks schema, digest, id, revisions of plugins and class counts of the data set. Recomputes
    metrics from predictions beside the records, and reruns K cells. If K is at least 1 and nothing is wrong, the valid
    cells are listed in verified.json beside the records, and pages mark them as verified. Exits 1 if something is
    wrong, 4 if a plugin is missing or has another revision.
    """
    from ltbench.cli.running.verifying import print_verified, verify

    found = verify(
        find_page(path, leaderboards), load_registry(choice), data_root, count=count, seed=seed, tolerance=tolerance, dry=dry,
        executor=executor_name, device=device, workers=workers,
    )  # fmt: skip
    if as_json:
        print_json(found.facts)
    else:
        print_verified(found)
    return found.exit_code
