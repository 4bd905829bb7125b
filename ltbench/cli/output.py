"""Printing data on stdout, as JSON or as a table that fits the window."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Sequence

import click
import msgspec


def print_json(data: object) -> None:
    """Print indented JSON, with escapes for the characters that stdout cannot encode."""
    text = msgspec.json.format(msgspec.json.encode(data), indent=2).decode()
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except (UnicodeEncodeError, LookupError):
        text = re.sub(r"[^\x00-\x7f]", lambda found: json.dumps(found.group())[1:-1], text)
    click.echo(text)


def print_table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print columns; on a terminal, lines are cut at the width of the window."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max([len(name), *(len(row[i]) for row in cells)]) for i, name in enumerate(head)]
    window = shutil.get_terminal_size((100, 24)).columns if sys.stdout.isatty() else 0
    lines: list[list[str]] = [list(head), ["-" * width for width in widths], *cells]
    for row in lines:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        click.echo(line if not window or len(line) <= window else line[: window - 1] + "…")


def terminal_width() -> int:
    """Return the columns of the terminal; 160 without one, as in a pipe, where nothing has to be left out."""
    return shutil.get_terminal_size((160, 24)).columns
