"""Render tables as markdown, with notes below."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ltbench.leaderboard.tables.cell_text import FAILED, TextColumn, columns, more_columns, reference_text
from ltbench.leaderboard.tables.rows import Row
from ltbench.leaderboard.tables.table import Table

FOLD = 30
"""Rows shown before the rest is folded."""


def table_lines(table: Table, failures: Mapping[str, int], *, page: str = "", fold: int = FOLD) -> list[str]:
    """Return a table as lines of markdown: the first rows, the rest folded, the notes.

    failures: id of a failed cell -> number of the section that has its log; page: where that section is.
    """
    notes: dict[str, int] = {}
    marks = [_marks(row, table, failures, page, notes) for row in table.rows]
    shown = columns(table)
    lines = _grid(shown, table.rows, marks, failures, page, slice(0, fold))
    if len(table.rows) > fold:
        rest = _grid(shown, table.rows, marks, failures, page, slice(fold, None))
        lines += ["", *details(f"{len(table.rows) - fold} more rows", rest)]
    if notes:
        lines += ["", *(f"- <sup>{number}</sup> {text}" for text, number in notes.items())]
    if len(table.rows) > 1 and all(row.label != table.reference for row in table.rows):
        lines += ["", f"There are no differences to {escape(reference_text(table.reference))}, which has no row here."]
    ranked = [row.rank for row in table.rows if row.rank is not None]
    if len(ranked) > 1 and set(ranked) == {1}:
        lines += ["", "No row is significantly better than another."]
    return lines


def more_lines(table: Table, failures: Mapping[str, int]) -> list[str]:
    """Return the other scores of the table of one factor, folded; nothing if there are none."""
    columns = more_columns(table)
    if len(columns) == 1:
        return []
    grid = _grid(columns, table.rows, [""] * len(table.rows), failures, "", slice(None))
    return [*details(f"More scores: {', '.join(escape(column.name) for column in columns[1:])}", grid), ""]


def details(summary: str, lines: Sequence[str]) -> list[str]:
    """Return lines of markdown, folded behind a summary."""
    return [f"<details><summary>{summary}</summary>", "", *lines, "", "</details>"]


def plain_table(head: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> list[str]:
    """Return a markdown table; the columns `right` are aligned to the right."""
    import tabulate

    # Widths must not depend on whether an optional package that measures characters is installed.
    tabulate.WIDE_CHARS_MODE = False
    align = ["right" if i in right else "left" for i in range(len(head))]
    text = tabulate.tabulate(rows, head, tablefmt="pipe", disable_numparse=True, colalign=align if rows else None)
    return text.splitlines()


def escape(text: str) -> str:
    """Escape text for markdown, also within a table."""
    text = re.sub(r"([\\`*|<>\[\]])", r"\\\1", " ".join(text.split()))
    # Within a word an underscore does not start emphasis, and technique names are full of them.
    return re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", text)


def unbroken(text: str) -> str:
    """Return text that stays on one line, as a number with its interval, so that only names wrap."""
    return text.replace(" ", "\u00a0")


def fenced(text: str, language: str = "") -> list[str]:
    """Return text as a code block, with a fence longer than any in the text."""
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return [f"{fence}{language}", *text.rstrip().splitlines(), fence]


def last_lines(text: str, most: int) -> list[str]:
    """Return the last lines of a text, after one that says how many are left out."""
    lines = text.rstrip().splitlines()
    cut = [f"... {len(lines) - most} lines before ..."] if len(lines) > most else []
    return [*cut, *lines[-most:]]


def failure_link(text: str, number: int, page: str = "") -> str:
    """Return a link to the section with the log of a failure."""
    return f"[{text}]({page}#failure-{number})"


def _grid(
    shown: list[TextColumn], rows: list[Row], marks: list[str], failures: Mapping[str, int], page: str, part: slice
) -> list[str]:
    body = []
    for i in range(len(rows))[part]:
        line = []
        for column in shown:
            text = escape(column.texts[i])
            if column.name == "techniques":
                text = (f"*{text}*" if not rows[i].techniques else text) + marks[i]
            elif text == FAILED:
                text = failure_link(FAILED, failures[rows[i].failed_scores[column.score]], page)
            elif column.best[i]:
                text = f"**{text}**"
            line.append(text if column.name == "techniques" else unbroken(text + column.tail[i]))
        body.append(line)
    head = [unbroken(column.name) for column in shown]
    return plain_table(head, body, right=[i for i, name in enumerate(head) if name != "techniques"])


def _marks(row: Row, table: Table, failures: Mapping[str, int], page: str, notes: dict[str, int]) -> str:
    texts = [*map(escape, row.notes)]
    if row.n < table.expected:
        texts.append(_missing_runs(row, table, failures, page))
    numbers = [notes.setdefault(text, len(notes) + 1) for text in texts]
    return f" <sup>{','.join(map(str, numbers))}</sup>" if numbers else ""


def _missing_runs(row: Row, table: Table, failures: Mapping[str, int], page: str) -> str:
    where = "" if table.factor is not None else " at every factor"
    text = f"{row.n} of {table.expected} runs{where}"
    if not row.failed:
        return text
    numbers = sorted({failures[cell] for cell in row.failed})
    links = ", ".join(failure_link(f"failure {number}", number, page) for number in numbers)
    cells = "1 cell failed" if len(row.failed) == 1 else f"{len(row.failed)} cells failed"
    return f"{text}; {cells}: {links}"
