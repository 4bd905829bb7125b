"""Print data on stdout, as JSON or as a table that fits the window."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Sequence

import click
import msgspec

from ltbench.core.text_streams import PrintableStream

_GAP, _INDENT = "  ", "    "
_LABEL = 12
"""Width of the labels of facts, such as those of a plan."""
_READABLE, _NARROWEST = 36, 20
"""Widest text in a paragraph, and the narrowest column into which text is wrapped."""


def print_json(data: object) -> None:
    """Print indented JSON, with escapes for the characters that stdout cannot encode."""
    text = msgspec.json.format(msgspec.json.encode(data), indent=2).decode()
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except (UnicodeEncodeError, LookupError):
        text = re.sub(r"[^\x00-\x7f]", lambda found: json.dumps(found.group())[1:-1], text)
    # A stream that shows control characters would write these in a form that JSON lacks; others are escaped already.
    click.echo(re.sub("[\x7f-\x9f]", lambda found: f"\\u{ord(found.group()):04x}", text))


def print_styled(text: str) -> None:
    """Print a text with codes for colours, as `printed` of a leaderboard returns it."""
    if isinstance(sys.stdout, PrintableStream):
        sys.stdout.write_styled(text)
    else:
        click.echo(text, nl=False)


def print_table(head: Sequence[str], rows: Sequence[Sequence[object]], *, optional: Sequence[str] = ()) -> None:
    """Print columns that fit the window; in a pipe, lines have any length.

    The last column is wrapped, on lines of its own if it would be too narrow. optional: columns that are dropped
    first, in this order; stderr names them.
    """
    shown = list(range(len(head)))
    cells = [list(head), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in shown]
    window, dropped = window_width(), []
    if window:
        for name in optional:
            if _width_left(widths, shown, window) < min(_READABLE, widths[-1]):
                shown.remove(head.index(name))
                dropped.append(name)
    for row in (cells[0], ["-" * width for width in widths], *cells[1:]):
        for line in _lines([row[i] for i in shown], [widths[i] for i in shown], window):
            click.echo(line)
    if dropped:
        print_wrapped(f"columns not shown in a window of {window}: {', '.join(dropped)}", err=True)


def print_wrapped(text: str, *, indent: str = "", err: bool = False) -> None:
    """Print a paragraph in lines that fit the window, all but the first with an indent."""
    window = window_width()
    click.echo(
        textwrap.fill(text, window, subsequent_indent=indent, break_on_hyphens=False) if window else text, err=err
    )


def print_prose(text: str) -> None:
    """Print the paragraphs and lists of a docstring in lines that fit the window; one with a formula keeps its lines."""
    for number, paragraph in enumerate(re.split(r"\n\s*\n", text.strip("\n"))):
        if number:
            click.echo("")
        parts = re.split(r"\n(?=- |Source: )", paragraph)
        if not window_width() or any(re.search(r"^\s", part, re.MULTILINE) and part[:2] != "- " for part in parts):
            click.echo(paragraph)
            continue
        for part in parts:
            print_wrapped(re.sub(r"\n\s*", " ", part), indent="  " if part.startswith("- ") else "")


def print_fact(line: str) -> None:
    """Print a line `label  text`, or a further line of text below it, in lines that fit the window."""
    print_wrapped(line, indent=" " * (_LABEL + 2))


def _width_left(widths: Sequence[int], shown: Sequence[int], window: int) -> int:
    return window - sum(widths[i] + len(_GAP) for i in shown[:-1])


def _lines(cells: Sequence[str], widths: Sequence[int], window: int) -> list[str]:
    """Return a row as lines: columns that do not fit, and the rest of the last one, go below.

    window: 0 for no limit.
    """
    *others, last = cells
    padded = [cell.ljust(width) for cell, width in zip(others, widths, strict=False)]
    room = _width_left(widths, range(len(widths)), window)
    is_rule = set(last) == {"-"}
    if not window or room >= min(_NARROWEST, widths[-1]):
        parts = _wrapped(last, room) if window and not is_rule else [last[: room if window else None]]
        blank = [" " * len(cell) for cell in padded]
        starts = [padded, *[blank] * (len(parts) - 1)]
        return [_GAP.join([*start, part]).rstrip() for start, part in zip(starts, parts or [""], strict=True)]
    lines = [""]
    for cell in padded:
        if lines[-1] and len(lines[-1]) + len(_GAP) + len(cell) > window:
            lines.append(_INDENT.removesuffix(_GAP))
        lines[-1] += (_GAP if lines[-1] else "") + cell
    below = [] if is_rule else _wrapped(last, max(window - len(_INDENT), 1))
    if is_rule:
        return [line.rstrip()[:window] for line in lines]
    above = [part for line in lines if line.strip() for part in _folded(line.rstrip(), window)]
    return [*above, *(f"{_INDENT}{part}" for part in below)]


def _folded(line: str, window: int) -> list[str]:
    """Return a line as it is if it fits, and otherwise as indented lines."""
    if len(line) <= window:
        return [line]
    return textwrap.wrap(line.strip(), window, initial_indent=line[: len(line) - len(line.lstrip())],
                         subsequent_indent=_INDENT, break_on_hyphens=False)  # fmt: skip


def _wrapped(text: str, width: int) -> list[str]:
    # Names of techniques and options are not split.
    return textwrap.wrap(text, width, break_on_hyphens=False)


def window_width() -> int:
    """Return the width of the window, or $COLUMNS; 0 in a pipe without $COLUMNS, for lines of any length."""
    return shutil.get_terminal_size((100, 24)).columns if sys.stdout.isatty() or os.environ.get("COLUMNS") else 0


def terminal_width() -> int:
    """Return the width of the terminal; 160 in a pipe, so that no column is dropped."""
    return shutil.get_terminal_size((160, 24)).columns
