"""Leaderboards for a terminal: as many columns as fit the window, by priority."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from ltbench.core.row_labels import techniques_of
from ltbench.leaderboard.page.missing_metrics import missing_metrics
from ltbench.leaderboard.page.page import group_failures
from ltbench.leaderboard.page.verification_notes import VerificationNotes
from ltbench.leaderboard.statistics.record_groups import titles
from ltbench.leaderboard.statistics.row_design import NOT_PAIRED, PARTLY
from ltbench.leaderboard.suite_facts import SuiteFacts
from ltbench.leaderboard.tables.caption import caption
from ltbench.leaderboard.tables.cell_text import (
    FAILED,
    MISSING,
    NONE,
    RUNS,
    TextColumn,
    has_numbers,
    main_columns,
    place_text,
    published_label,
    published_text,
    runs_differ,
    shown_in,
)
from ltbench.leaderboard.tables.rows import PublishedRow, leading_rows
from ltbench.leaderboard.tables.table import Board, Table
from ltbench.records.record import Record

if TYPE_CHECKING:
    from rich.console import RenderableType

_NARROWEST = 24
"""Width below which combinations are not wrapped further; numbers are left out instead."""
_GAP = 2
_NOTES = 3
"""Rows that are not paired which are named below a table."""


def leaderboard_text(
    facts: SuiteFacts,
    records: Sequence[Record],
    boards: Sequence[Board],
    width: int,
    *,
    color: bool = False,
    trust: VerificationNotes | None = None,
    most: int | None = None,
    sentences: Sequence[str] = (),
) -> str:
    """Return the leaderboard of a suite as text of at most `width` columns; `color` adds terminal codes.

    most: rows shown of each table, besides the reference; sentences: the answer of the page.
    """
    parts = _parts(facts, records, boards, width, trust or VerificationNotes(), most, sentences)
    return printed(parts, width, color=color)


def printed(parts: Iterable[RenderableType], width: int, *, color: bool) -> str:
    """Return what rich prints of some parts in a window of `width` columns."""
    from rich.console import Console

    file = io.StringIO()
    console = Console(file=file, width=width, force_terminal=color, force_jupyter=False, color_system="standard" if color else None,
                      legacy_windows=False)  # fmt: skip
    for part in parts:
        console.print(part)
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines()) + "\n"


def _parts(
    facts: SuiteFacts,
    records: Sequence[Record],
    boards: Sequence[Board],
    width: int,
    trust: VerificationNotes,
    most: int | None,
    sentences: Sequence[str],
) -> Iterator[RenderableType]:
    from rich.text import Text

    yield Text(facts.title or facts.name, style="bold")
    for sentence in sentences:
        yield Text(_item(sentence, max(width, 20)))
    if not records:
        yield Text("no results yet")
    for board, title in zip(boards, titles(boards), strict=True):
        yield from ("", Text(title))
        if board.ranking.why:
            yield Text(board.ranking.why, style="dim")
        # As on the page: the table that answers, then those of single factors.
        for table in [*([board.across] if board.across else []), *board.tables]:
            yield from _table(table, width, most)
    yield from map(Text, _footer(facts, records, boards, trust))


def _table(table: Table, width: int, most: int | None) -> Iterator[RenderableType]:
    from rich.table import Table as Grid
    from rich.text import Text

    title = "all imbalance factors (IF)" if table.factor is None else place_text(table.factor, table.data)
    candidates = [*main_columns(table), *shown_in(table, "folded")]
    candidates = [one for one in candidates if one.priority is None or _says_something(one, table)]
    longest = max(
        (len(line) for one in table.published for line in _published_label(one, table, width).split("\n")), default=0
    )
    shown = fit_columns(candidates, width, longest)
    grid = Grid(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="dim", title_justify="left",
                title=Text(title, style="bold").append(_runs_text(table), style="dim"))  # fmt: skip
    room = width - sum(_width(column) + _GAP for column in shown if column.name != "techniques") - _GAP
    for column in shown:
        grid.add_column(column.name, justify="left" if column.name == "techniques" else "right", no_wrap=True)

    def add_published(one: PublishedRow) -> None:
        if any(column.score in one.numbers for column in shown):
            text = _published_label(one, table, room)
            cells = [text if column.name == "techniques" else published_text(one, column) for column in shown]
            grid.add_row(*(Text(cell, style="dim italic") for cell in cells))

    rows = leading_rows(table.rows, most, table.reference)
    for i in rows:
        cells = []
        for column in shown:
            style = "bold" if column.best[i] else "red" if column.texts[i] == FAILED else ""
            text = wrap_label(column.texts[i], room) if column.name == "techniques" else column.texts[i]
            cells.append(Text(text, style=style).append(column.tail[i], style="dim"))
        grid.add_row(*cells)
        for one in table.published:
            if one.label == table.rows[i].label:
                add_published(one)
    for one in table.published:
        if not one.measured and most is None:
            add_published(one)
    yield from ("", grid)
    found = [(table.rows[i].label, note) for i in rows for note in table.rows[i].notes]
    unpaired = [(label, note) for label, note in found if note.startswith((NOT_PAIRED, PARTLY))]
    for label, note in unpaired[:_NOTES]:
        yield Text(f"{label}: {note}", style="dim")
    if len(unpaired) > _NOTES:
        yield Text(f"and {len(unpaired) - _NOTES} more rows are not paired: the page names them", style="dim")
    if len(rows) < len(table.rows):
        yield Text(f"and {len(table.rows) - len(rows)} more rows: ltbench leaderboard", style="dim")


def _runs_text(table: Table) -> str:
    """Return the number of runs that all rows have, for the title; empty where they differ."""
    if runs_differ(table) or not table.rows or table.rows[0].n != table.expected:
        return ""
    return f"  {table.expected} run{'s' * (table.expected != 1)} each"


def _says_something(column: TextColumn, table: Table) -> bool:
    return not _runs_text(table) if column.name == RUNS else has_numbers(column, table)


def fit_columns(shown: list[TextColumn], width: int, longest: int = 0) -> list[TextColumn]:
    """Return the columns that fit a window of `width` characters; longest: label besides those of the rows."""
    optional = [column for column in shown if column.priority is not None]
    # Taken from the end: sorting is stable, so the rightmost of equal ones goes first.
    leave_out = sorted(optional, key=lambda column: -(column.priority or 0))
    while True:
        fixed = sum(_width(column) + _GAP for column in shown if column.name != "techniques")
        labels = max(longest, next(_width(column) for column in shown if column.name == "techniques"))
        # Techniques may wrap before more numbers are left out.
        if not leave_out or fixed + min(labels, _NARROWEST) + _GAP <= width:
            return shown
        if len(leave_out) == 1 and any(any(column.tail) for column in shown):
            # The interval of the difference says more than that of the mean.
            shown = [replace(column, tail=[""] * len(column.tail)) for column in shown]
            leave_out = [column for column in shown if column.priority is not None]
            continue
        last = leave_out.pop()
        shown = [column for column in shown if column is not last]


def wrap_label(label: str, room: int) -> str:
    """Return the label of a combination in lines of at most `room` characters, cut between two techniques.

    A technique that is longer than a line is cut where the line ends.
    """
    lines = [""]
    for number, technique in enumerate(techniques_of(label) or [label]):
        piece = f"+ {technique}" if number else technique
        if lines[-1] and len(lines[-1]) + 1 + len(piece) > room:
            piece = f"  {piece}"
            lines.append("")
        elif lines[-1]:
            piece = f" {piece}"
        while len(lines[-1]) + len(piece) > max(room, 8):
            cut = max(room, 8) - len(lines[-1])
            lines[-1] += piece[:cut]
            piece = f"    {piece[cut:]}"
            lines.append("")
        lines[-1] += piece
    return "\n".join(lines)


def _published_label(one: PublishedRow, table: Table, room: int) -> str:
    """Return the label of published numbers in lines of at most `room` characters."""
    name = [] if one.measured else [wrap_label(f"{published_label(one, table)}:", room)]
    source = textwrap.wrap(f"reported, {one.source}", max(room, 8), initial_indent="  ", subsequent_indent="    ")
    return "\n".join([*name, *source])


def _item(sentence: str, width: int) -> str:
    """Return a sentence as an item of a list, with no line that begins with the `%` of a number."""
    joined = sentence.replace(" %", "\u00a0%")
    lines = textwrap.fill(joined, width, initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False)
    return lines.replace("\u00a0", " ")


def _width(column: TextColumn) -> int:
    return max([len(column.name), *(len(t) + len(e) for t, e in zip(column.texts, column.tail, strict=True))])


def _footer(
    facts: SuiteFacts, records: Sequence[Record], boards: Sequence[Board], trust: VerificationNotes
) -> Iterator[str]:
    if records:
        yield ""
        captions = (caption(board.main_table, page=False) for board in boards)
        yield from dict.fromkeys(captions)
    if records and trust.provenance:
        yield " ".join(trust.provenance).replace("`", "")
    for record, reason in trust.withdrawn:
        s = record.setting
        yield f"withdrawn: {record.id[:8]} {record.label}, imbalance factor {s.imbalance_factor:g}, seed {s.seed}: {reason}"
    missing = sum(len(runs) for board in boards for *_, runs in board.missing)
    if missing:
        yield f"{MISSING} cells of these combinations without a record: {missing}"
    if facts.unfinished:
        yield f"{MISSING} planned cells left unfinished by the last run: {facts.unfinished}"
    for lacking in missing_metrics(records):
        yield f"{NONE} {lacking.sentence.splitlines()[0]}"
    for failure in group_failures(records):
        cells = "1 cell" if len(failure.cells) == 1 else f"{len(failure.cells)} cells"
        yield f"{FAILED} {cells}: {failure.error.type}: {failure.error.message.splitlines()[0]}"
