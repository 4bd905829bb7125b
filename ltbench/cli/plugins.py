"""`ltbench plugins`: list the plugins and what each provides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ltbench.cli.options import load_registry, plugin_options
from ltbench.cli.output import print_json, print_table
from ltbench.errors import UsageError

if TYPE_CHECKING:
    from ltbench.core.plugins import PluginSource
    from ltbench.registry.discovery import Broken, PluginSelection
    from ltbench.registry.registry import Registry


@click.command("plugins")
@click.option("--times", is_flag=True, help="Print the load time of each plugin, slowest first.")
@click.option("--requirements", is_flag=True, help="Print the installed plugins as requirements for pip.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@plugin_options
def command(times: bool, requirements: bool, as_json: bool, choice: PluginSelection) -> None:
    """List the plugins, what each provides, and why some are disabled."""
    if requirements and (times or as_json):
        raise UsageError("--requirements only prints lines for pip", fix="remove --times and --json")
    registry = load_registry(choice)
    if requirements:
        from ltbench.registry.requirements import pins

        click.echo("\n".join(pins(registry)))
        return
    rows = _rows(registry)
    if times:
        rows.sort(key=lambda row: (row["milliseconds"] is None, -(row["milliseconds"] or 0.0)))
    if as_json:
        executors = {name: source.distribution for name, (source, _) in sorted(registry.executors.items())}
        observers = {name: source.distribution for name, (source, _) in sorted(registry.observers.items())}
        suites = {name: str(path) for name, path in sorted(registry.suites.items())}
        print_json({"plugins": rows, "suites": suites, "executors": executors, "observers": observers})
    elif times:
        print_table(["plugin", "distribution", "ms", ""], [_time(row) for row in rows])
    else:
        print_table(["plugin", "distribution", "state", "provides"], [_line(row) for row in rows])
        click.echo(f"\nsuites: {', '.join(sorted(registry.suites)) or 'none'}")
        click.echo(f"executors: {', '.join(sorted(registry.executors))}")
        click.echo(f"observers: {', '.join(sorted(registry.observers))}")


def _rows(registry: Registry) -> list[dict[str, Any]]:
    rows = [
        _source(loaded.source) | {
            "techniques": (names := loaded.names())["technique"],
            "off": [name for name in names["technique"] if name in registry.clashes],
            "suites": names["suite"], "executors": names["executor"], "observers": names["observer"], "families": len(loaded.families),
            "milliseconds": round(1000 * loaded.seconds, 2), "slow": loaded.is_slow, "error": None,
        }
        for loaded in registry.loaded
    ]  # fmt: skip
    empty = {
        "techniques": [],
        "off": [],
        "suites": [],
        "executors": [],
        "observers": [],
        "families": 0,
        "milliseconds": None,
    }
    return rows + [_source(broken) | empty | {"slow": False, "error": broken.error} for broken in registry.broken]


def _source(plugin: PluginSource | Broken) -> dict[str, Any]:
    return {"plugin": plugin.plugin, "distribution": plugin.distribution, "version": plugin.version}


def _line(row: dict[str, Any]) -> list[str]:
    names = [
        f"{name} (disabled: several plugins provide it)" if name in row["off"] else name for name in row["techniques"]
    ]
    counts = (
        (row["suites"], "suite"),
        (row["executors"], "executor"),
        (row["observers"], "observer"),
        (["..."] * row["families"], "family"),
    )
    names += [f"{kind} {name}" for offered, kind in counts for name in offered]
    state = "off" if row["error"] else "on"
    return [row["plugin"], f"{row['distribution']} {row['version']}", state, row["error"] or ", ".join(names)]


def _time(row: dict[str, Any]) -> list[str]:
    about = row["error"] or ("slow: import heavy modules where they are used" if row["slow"] else "")
    shown = "" if row["milliseconds"] is None else f"{row['milliseconds']:.1f}"
    return [row["plugin"], f"{row['distribution']} {row['version']}", shown, about]
