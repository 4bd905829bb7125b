"""Tables between markers in a README, the only lines of it that are generated."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from ltbench.errors import UsageError
from ltbench.leaderboard.cells import factor_text
from ltbench.leaderboard.markdown import escape, table_lines
from ltbench.leaderboard.table import Board

_OPEN = re.compile(r"<!-- ltbench:leaderboard (\S+) -->\s*")
_CLOSE = re.compile(r"<!-- /ltbench:leaderboard -->\s*")
FOLD = 20
"""Rows that a README shows before the rest is folded."""


def splice(text: str, block: Callable[[str], Sequence[str]], where: str) -> str:
    """Return the text with the lines between each pair of markers replaced by `block(suite)`.

    Markers are lines: `<!-- ltbench:leaderboard SUITE -->` and `<!-- /ltbench:leaderboard -->`. Raises `UsageError`
    naming `where` and the line of a marker without its partner.
    """
    lines: list[str] = []
    opened: tuple[int, str] | None = None
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        start, end = _OPEN.fullmatch(line), _CLOSE.fullmatch(line)
        if (start and opened) or (end and not opened):
            raise _unpaired(where, number, line)
        if start:
            opened = (number, line)
            lines += [line, *(f"{new}\n" for new in block(start[1]))]
        elif end:
            opened = None
        if start is None and opened is None:
            lines.append(line)
    if opened:
        raise _unpaired(where, *opened)
    return "".join(lines)


def compact_block(boards: Sequence[Board], failures: Mapping[str, int], page: str) -> list[str]:
    """Return what a README shows of a suite: of each board the table across factors, or the only one there is."""
    return ["", *(line for board in boards for line in _compact(board, failures, page, titled=len(boards) > 1))]


def _compact(board: Board, failures: Mapping[str, int], page: str, *, titled: bool) -> Iterator[str]:
    table = board.across or board.tables[0]
    if titled:
        yield from (f"**{escape(board.dataset)}, profile {escape(board.profile)}, {escape(board.model)}**", "")
    yield from (*table_lines(table, failures, page=page, fold=FOLD), "")
    what = (
        "at each imbalance factor (IF)" if table.factor is None else f"at imbalance factor {factor_text(table.factor)}"
    )
    yield (
        f"Top-1 accuracy in % {what}, mean ± 95 % interval over n runs; Δ is the difference to the baseline, `*` where a "
        f"paired test separates the two; # is the rank, `=` where no test separates it from others; `≈` where none separates the row from the best. "
        f"[The whole leaderboard]({page}) explains and has the rest."
    )
    yield ""


def _unpaired(where: str, number: int, line: str) -> UsageError:
    return UsageError(
        f"marker '{line.strip()}' has no partner",
        where=f"{where}, line {number}",
        fix="<!-- ltbench:leaderboard SUITE --> ... <!-- /ltbench:leaderboard -->, each on a line of its own",
    )
