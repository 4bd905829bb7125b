"""Leaderboards for a terminal: as many columns as the window holds, the most telling ones first."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence

from ltbench.leaderboard.cells import FAILED, MISSING, Column, columns, factor_text, more_columns
from ltbench.leaderboard.page import SuiteFacts, failed
from ltbench.leaderboard.table import Board, Table
from ltbench.records import Record

_GIVEN_UP = ("middle", "head", "tail", "ECE", "F1", "SD", "many", "med.", "worst", "few", "n")
"""Columns in the order in which a narrow window does without them."""
_NARROWEST = 40
"""Characters of the techniques that stay legible; longer ones wrap."""


def terminal(
    facts: SuiteFacts, records: Sequence[Record], boards: Sequence[Board], width: int, *, color: bool = False
) -> str:
    """Return the leaderboard of a suite as text of at most `width` columns; `color` adds terminal codes."""
    from rich.console import Console
    from rich.text import Text

    console = Console(file=io.StringIO(), width=width, force_terminal=color, color_system="standard" if color else None,
                      legacy_windows=False)  # fmt: skip
    if not records:
        console.print(Text(f"{facts.title or facts.name}: no results yet"))
    for board in boards:
        console.print(Text(f"{board.dataset}, profile {board.profile}, {board.model}", style="bold"))
        for table in (*board.tables, *([board.across] if board.across else [])):
            _print(console, table, width)
    for line in _below(facts, records, boards):
        console.print(Text(line))
    file = console.file
    assert isinstance(file, io.StringIO)
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines()) + "\n"


def _print(console: object, table: Table, width: int) -> None:
    from rich.console import Console
    from rich.table import Table as Grid
    from rich.text import Text

    assert isinstance(console, Console)
    title = "all imbalance factors (IF)" if table.factor is None else f"imbalance factor {factor_text(table.factor)}"
    every = columns(table) + ([] if table.factor is None else more_columns(table)[1:])
    shown = fitted(every, width)
    grid = Grid(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim", title=title, title_justify="left")
    for column in shown:
        if column.name == "techniques":
            grid.add_column(column.name, overflow="fold", ratio=None)
        else:
            grid.add_column(column.name, justify="right", no_wrap=True)
    for i in range(len(table.rows)):
        cells = []
        for column in shown:
            style = "bold" if column.best[i] else "red" if column.texts[i] == FAILED else ""
            cells.append(Text(column.texts[i], style=style).append(column.tail[i], style="dim"))
        grid.add_row(*cells)
    console.print()
    console.print(grid)


def fitted(shown: list[Column], width: int) -> list[Column]:
    """Return the columns that a window of `width` characters holds."""
    for name in ("", *_GIVEN_UP):
        shown = [column for column in shown if column.name != name]
        fixed = sum(_width(column) + 2 for column in shown if column.name != "techniques")
        labels = next(_width(column) for column in shown if column.name == "techniques")
        if fixed + min(labels, _NARROWEST) <= width:
            # The names whole, if giving up more numbers were not the price of it.
            break
    return shown


def _width(column: Column) -> int:
    return max([len(column.name), *(len(t) + len(e) for t, e in zip(column.texts, column.tail, strict=True))])


def _below(facts: SuiteFacts, records: Sequence[Record], boards: Sequence[Board]) -> Iterator[str]:
    if records:
        yield ""
        yield (
            "accuracy in %, mean ± 95 % interval over n runs; Δ to the baseline, * where a paired test tells them apart; "
            "# rank, = where no test tells it from others. The page explains and has the rest."
        )
    missing = sum(len(runs) for board in boards for *_, runs in board.missing)
    if missing:
        yield f"{MISSING} cells of these combinations that have no record: {missing}"
    if facts.unfinished:
        yield f"{MISSING} planned cells that the last run left unfinished: {facts.unfinished}"
    for failure in failed(records):
        cells = "1 cell" if len(failure.cells) == 1 else f"{len(failure.cells)} cells"
        yield f"{FAILED} {cells}: {failure.error.type}: {failure.error.message.splitlines()[0]}"
