"""`ltbench list`: techniques by stage, and the catalogue in the documentation."""

from __future__ import annotations

import shlex
import textwrap
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ltbench.cli.options import load_registry, plugin_options
from ltbench.cli.output import print_json, print_table, print_wrapped, window_width
from ltbench.cli.paths import PathOption

if TYPE_CHECKING:
    from ltbench.registry.discovery import PluginSelection
    from ltbench.registry.registry import Registry

METHODS = "techniques of several stages under one name"
_NARROWEST = 36
"""Narrowest column of descriptions that are cut."""
FILE = PathOption(dir_okay=False, exists=True)


@click.command("list")
@click.argument("stage", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print the catalogue: a table per stage, with sources.")
@click.option("--update", type=FILE, metavar="FILE", help="Update the catalogue between the markers of a file.")
@click.option("--check", type=FILE, metavar="FILE",
              help="If the catalogue in a file is out of date, print a diff and exit with 5.")  # fmt: skip
@plugin_options
def command(
    stage: str | None, as_json: bool, as_markdown: bool, update: Path | None, check: Path | None, choice: PluginSelection
) -> None:  # fmt: skip
    """List the techniques by stage, with their parameters, plugin and version, and then the methods with their parts.

    STAGE is a stage, or `method`. Without it, a terminal shows one line for each technique, without parameters.
    """
    from ltbench.errors import UsageError
    from ltbench.registry.technique_rows import METHOD, check_stage, technique_rows

    check_stage(stage)
    if (update or check) and (as_json or stage or (update and check)):
        raise UsageError("--update and --check write or check the whole catalogue of one file",
                         fix="use one of them and no other option")  # fmt: skip
    if as_json and as_markdown:
        raise UsageError("--json and --markdown cannot be combined", fix="use one of them")
    registry = load_registry(choice)
    if update or check or as_markdown:
        _catalogue(registry, stage, update, check, builtin_only=choice.builtin_only)
        return
    rows = technique_rows(registry, stage)
    if as_json:
        print_json(rows)
        return
    overview = _overview(rows, window_width()) if stage is None else []
    if overview:
        click.echo("\n".join(overview))
        print_wrapped("parameters and whole lines: ltbench list STAGE; everything: ltbench show NAME", err=True)
    else:
        third = "parts" if stage == METHOD else "parameters"
        print_table(
            ["stage", "technique", third, "plugin", "about"], [_line(row) for row in rows],
            optional=["plugin", third] if stage is None else ["stage", "plugin"],
        )  # fmt: skip
    _families(registry, stage)


def _overview(rows: list[dict[str, Any]], window: int) -> list[str]:
    """Return a line for each technique, below its stage; empty for a pipe, and for a window that is too narrow."""
    from ltbench.stages import STAGES

    lines = []
    for stage, group in groupby(rows, key=lambda row: row["stage"]):
        names, abouts = zip(*((_name(row), row["about"]) for row in group), strict=True)
        width = max(map(len, names))
        if (room := window - len("    ") - width) < _NARROWEST:
            return []
        lines += ["", _cut(f"{stage}: {STAGES[stage].about if stage in STAGES else METHODS}", window)]
        lines += [f"  {name:{width}}  {_cut(about, room)}".rstrip() for name, about in zip(names, abouts, strict=True)]
    return lines[1:]


def _cut(text: str, width: int) -> str:
    return textwrap.shorten(text, width, placeholder=" ...", break_on_hyphens=False)


def _name(row: dict[str, Any]) -> str:
    return f"{row['technique']} (baseline)" if row["baseline"] else row["technique"]


def _line(row: dict[str, Any]) -> list[str]:
    parameters = ", ".join(f"{k}={v}" for k, v in row["parameters"].items()) or " + ".join(row.get("parts", ()))
    return [row["stage"], _name(row), parameters, f"{row['plugin']} {row['version']}", row["about"]]


def _catalogue(
    registry: Registry, stage: str | None, update: Path | None, check: Path | None, *, builtin_only: bool
) -> None:
    from ltbench.records.written_files import write_atomic
    from ltbench.registry import technique_tables

    if update:
        changed = write_atomic(update, technique_tables.spliced(update, registry).encode())
        click.echo(f"{update} {'updated' if changed else 'is up to date'}", err=True)
    elif check:
        option = "--no-plugins " if builtin_only else ""
        technique_tables.check(check, registry, f"ltbench list {option}--update {shlex.quote(str(check))}")
        click.echo(f"{check} is up to date", err=True)
    else:
        click.echo("\n".join(technique_tables.markdown(registry, stage)).strip())


def _families(registry: Registry, stage: str | None) -> None:
    for source, family in registry.families:
        names = sorted(family.names())
        if stage in {None, "model"} and names:
            print_wrapped(
                f"and {len(names):,} more by name from plugin '{source.plugin}' of {source.distribution} {source.version}: "
                f"{names[0]} ... {names[-1]}",
                err=True,
            )
