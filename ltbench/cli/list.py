"""`ltbench list`: the techniques by stage."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from ltbench.cli.options import load_registry, plugin_options
from ltbench.cli.output import print_json, print_table


@click.command("list")
@click.argument("stage", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@plugin_options
def command(stage: str | None, as_json: bool, plugin_files: Sequence[Path], disable: Sequence[str]) -> None:
    """List the techniques by stage, with their parameters, plugin and version."""
    from ltbench.errors import UnknownName
    from ltbench.parameters import parameters
    from ltbench.stages import STAGES

    if stage is not None and stage not in STAGES:
        raise UnknownName.of("stage", stage, STAGES)
    registry = load_registry(plugin_files, disable)
    rows: list[dict[str, Any]] = [
        {
            "stage": name,
            "technique": technique,
            "baseline": kind.baseline,
            "parameters": {p.name: p.default for p in parameters(kind)},
            "plugin": registry.entries[technique].distribution,
            "version": registry.entries[technique].version,
            "about": (kind.__doc__ or "").strip().split("\n")[0],
        }
        for name in STAGES
        if stage in {None, name}
        for technique, kind in registry.of(name).items()
    ]
    if as_json:
        print_json(rows)
        return
    print_table(
        ["stage", "technique", "parameters", "plugin", "about"],
        [
            [
                row["stage"],
                f"{row['technique']} (baseline)" if row["baseline"] else row["technique"],
                ", ".join(f"{k}={v}" for k, v in row["parameters"].items()),
                f"{row['plugin']} {row['version']}",
                row["about"],
            ]
            for row in rows
        ],
    )
    for source, family in registry.families:
        names = sorted(family.names())
        if stage in {None, "model"} and names:
            click.echo(
                f"and {len(names):,} by name from plugin '{source.plugin}' of {source.distribution} {source.version}, "
                f"made when one is asked for: {names[0]} ... {names[-1]}",
                err=True,
            )
