"""Render tables as markdown, with notes below."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from ltbench.core.printable import printable
from ltbench.leaderboard.tables.cell_text import (
    FAILED,
    TextColumn,
    columns,
    more_columns,
    published_label,
    published_text,
    reference_text,
)
from ltbench.leaderboard.tables.rows import PublishedRow, Row, leading_rows
from ltbench.leaderboard.tables.table import Table

FOLD = 30
"""Rows shown before the rest is folded."""
LISTED = 250
"""Most rows of a table that a page has; `table.csv` has all of them."""


def table_lines(
    table: Table, failures: Mapping[str, int], *, page: str = "", fold: int = FOLD, most: int = LISTED
) -> list[str]:
    """Return a table as lines of markdown: the first rows and the reference, the rest folded, the notes.

    failures: id of a failed cell -> number of the section that has its log; page: where that section is; most: rows that
    are listed, besides the reference and those that something is published of.
    """
    notes: dict[str, int] = {}
    grid = _Grid(table, columns(table), failures, page, notes, marks=True)
    first, listed = leading_rows(table.rows, fold, table.reference), listed_rows(table, most)
    others = [i for i in listed if i not in set(first)]
    # Published numbers of what was not run stand last.
    lines, rest = grid.lines(first, rows_without=not others), grid.lines(others, rows_without=bool(others))
    if others:
        lines += ["", *details(f"{len(others)} more rows", rest)]
    if left := len(table.rows) - len(listed):
        # The block of a README links the page.
        lines += ["", left_out(left, link=not page)]
    lines += _note_lines(notes)
    if len(table.rows) > 1 and all(row.label != table.reference for row in table.rows):
        lines += ["", f"There are no differences to {escape(reference_text(table.reference))}, which has no row here."]
    ranked = [row.rank for row in table.rows if row.rank is not None]
    if len(ranked) > 1 and set(ranked) == {1}:
        lines += ["", "No row is significantly better than another."]
    return lines


def listed_rows(table: Table, most: int = LISTED) -> list[int]:
    """Return the places of the rows that a page has: the first ones, the reference, and those that something is published of."""
    published = {one.label for one in table.published}
    first = leading_rows(table.rows, most, table.reference)
    return sorted({*first, *(i for i, row in enumerate(table.rows) if row.label in published)})


def left_out(rows: int, *, link: bool = True) -> str:
    """Return the sentence on rows that a page does not list. link: whether it says where they are."""
    verb = "1 row of a lower rank is" if rows == 1 else f"{rows:,} rows of lower ranks are"
    return f"{verb} not listed here" + ("; [`table.csv`](table.csv) has all rows." if link else ".")


def more_lines(table: Table, failures: Mapping[str, int], most: int = LISTED) -> list[str]:
    """Return the columns that the table itself lacks, folded; nothing if there are none. most: as for `table_lines`."""
    shown = more_columns(table)
    if len(shown) == 1:
        return []
    notes: dict[str, int] = {}
    grid = _Grid(table, shown, failures, "", notes, marks=False).lines(listed_rows(table, most), rows_without=True)
    titles = ", ".join(escape(column.name) for column in shown[1:])
    return [*details(f"More columns: {titles}", [*grid, *_note_lines(notes)]), ""]


def _note_lines(notes: Mapping[str, int]) -> list[str]:
    return ["", *(f"- <sup>{number}</sup> {text}" for text, number in notes.items())] if notes else []


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
    return _escaped(" ".join(text.split()))


def _escaped(text: str) -> str:
    text = re.sub(r"([\\`*|<>\[\]])", r"\\\1", printable(text, lines=False))
    # Within a word an underscore does not start emphasis, and technique names are full of them.
    return re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", text)


def code(text: str) -> str:
    """Return text as code within a paragraph, between more backticks than it has in a row."""
    text = printable(" ".join(text.split()), lines=False)
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * (longest + 1)
    return f"{fence} {text} {fence}" if longest else f"{fence}{text}{fence}"


def prose(text: str) -> str:
    """Return the text of a suite as a paragraph: plain text with code between backticks."""
    parts = re.split(r"`([^`\n]+)`", " ".join(text.split()))
    shown = "".join(code(part) if number % 2 else _escaped(part) for number, part in enumerate(parts))
    # At its start, these begin a heading, a list or a rule.
    return re.sub(r"^(\d*)([#+=~.)-])", r"\1\\\2", shown)


def unbroken(text: str) -> str:
    """Return text that stays on one line, as a number with its interval, so that only names wrap."""
    # A browser wraps behind a dash, too, as in a range of ranks.
    return re.sub(r"(?<=\d)–(?=\d)", "\u2060–\u2060", text.replace(" ", "\u00a0"))


def fenced(text: str, language: str = "") -> list[str]:
    """Return text as a code block, with a fence longer than any in the text."""
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return [f"{fence}{language}", *printable(text.rstrip()).splitlines(), fence]


def last_lines(text: str, most: int) -> list[str]:
    """Return the last lines of a text, after one that says how many are left out."""
    lines = text.rstrip().splitlines()
    cut = [f"... {len(lines) - most} lines before ..."] if len(lines) > most else []
    return [*cut, *lines[-most:]]


def failure_link(text: str, number: int, page: str = "") -> str:
    """Return a link to the section with the log of a failure."""
    return f"[{text}]({page}#failure-{number})"


class _Grid(msgspec.Struct, frozen=True):
    """The lines of some columns of a table."""

    table: Table
    shown: list[TextColumn]
    failures: Mapping[str, int]
    page: str
    notes: dict[str, int]
    """Text of a note -> its number; grows with the lines."""
    marks: bool
    """Whether rows are marked with their notes."""

    def lines(self, rows: Iterable[int], *, rows_without: bool) -> list[str]:
        """Return a table of these rows, each above what is published of it.

        rows_without: whether published numbers of combinations without a row follow.
        """
        published = [one for one in self.table.published if any(column.score in one.numbers for column in self.shown)]
        body = []
        for i in rows:
            body.append([self._measured(i, column) for column in self.shown])
            body += [self._published(one) for one in published if one.label == self.table.rows[i].label]
        if rows_without:
            body += [self._published(one) for one in published if not one.measured]
        head = [unbroken(column.name) for column in self.shown]
        return plain_table(head, body, right=[i for i, name in enumerate(head) if name != "techniques"])

    def _measured(self, i: int, column: TextColumn) -> str:
        row, text = self.table.rows[i], escape(column.texts[i])
        if column.name == "techniques":
            marks = _marks(row, self.table, self.failures, self.page, self.notes) if self.marks else ""
            return (f"*{text}*" if not row.techniques else text) + marks
        if text == FAILED:
            text = failure_link(FAILED, self.failures[row.failed_scores[column.score]], self.page)
        elif column.best[i]:
            text = f"**{text}**"
        return unbroken(text + column.tail[i])

    def _published(self, one: PublishedRow) -> list[str]:
        """Return the small italic cells of published numbers, which no reader takes for measured ones."""
        cells = []
        for column in self.shown:
            if column.name == "techniques":
                notes = [escape(one.notes[other.score]) for other in self.shown if other.score in one.notes]
                name = "↳" if one.measured else f"{escape(published_label(one, self.table))}:"
                cells.append(f"<sub>{name} *reported, {escape(one.source)}*</sub>{_numbered(notes, self.notes)}")
            else:
                text = published_text(one, column)
                cells.append(f"<sub>*{text}*</sub>" if text else "")
        return cells


def _marks(row: Row, table: Table, failures: Mapping[str, int], page: str, notes: dict[str, int]) -> str:
    texts = [*map(escape, row.notes)]
    if row.n < table.expected:
        texts.append(_missing_runs(row, table, failures, page))
    return _numbered(texts, notes)


def _numbered(texts: Iterable[str], notes: dict[str, int]) -> str:
    numbers = [notes.setdefault(text, len(notes) + 1) for text in dict.fromkeys(texts)]
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
