"""`ltbench plugins`: who offers what."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from ltbench.cli.options import load_registry, plugin_options
from ltbench.cli.output import print_json, print_table


@click.command("plugins")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@plugin_options
def command(as_json: bool, plugin_files: Sequence[Path], disable: Sequence[str]) -> None:
    """List the plugins, what each offers, and those that are off with the reason."""
    registry = load_registry(plugin_files, disable)
    offers: dict[tuple[str, str, str], list[str]] = {}
    for name, entry in registry.entries.items():
        offers.setdefault((entry.distribution, entry.version, entry.plugin), []).append(name)
    rows = [
        {"plugin": plugin, "distribution": distribution, "version": version, "techniques": names, "error": None}
        for (distribution, version, plugin), names in offers.items()
    ] + [
        {"plugin": b.plugin, "distribution": b.distribution, "version": b.version, "techniques": [], "error": b.error}
        for b in registry.broken
    ]
    if as_json:
        print_json(
            {
                "plugins": rows,
                "suites": {name: str(path) for name, path in sorted(registry.suites.items())},
                "executors": {name: source.distribution for name, (source, _) in sorted(registry.executors.items())},
            }
        )
        return
    print_table(
        ["plugin", "distribution", "state", "techniques"],
        [
            [
                row["plugin"],
                f"{row['distribution']} {row['version']}",
                "off" if row["error"] else "on",
                row["error"] or ", ".join(row["techniques"] or []),
            ]
            for row in rows
        ],
    )
    click.echo(f"\nsuites: {', '.join(sorted(registry.suites)) or 'none'}")
    click.echo(f"executors: {', '.join(sorted(registry.executors))}")
