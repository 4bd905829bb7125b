"""The generated lines of a README: tables between markers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ltbench.leaderboard.statistics.record_groups import titles
from ltbench.leaderboard.tables.cell_text import factor_text, reference_text
from ltbench.leaderboard.tables.markdown import escape, table_lines
from ltbench.leaderboard.tables.table import Board

FOLD = 20
"""Rows that a README shows before the rest is folded."""


def compact_block(boards: Sequence[Board], failures: Mapping[str, int], page: str) -> list[str]:
    """Return the README block of a suite: of each board the table across factors, or its only table."""
    named = titles(boards) if len(boards) > 1 else [""] * len(boards)
    both = zip(boards, named, strict=True)
    return ["", *(line for board, title in both for line in _compact(board, failures, page, title))]


def _compact(board: Board, failures: Mapping[str, int], page: str, title: str) -> Iterator[str]:
    table = board.across or board.tables[0]
    if title:
        yield from (f"**{escape(title)}**", "")
    yield from (*table_lines(table, failures, page=page, fold=FOLD), "")
    what = (
        "at each imbalance factor (IF)" if table.factor is None else f"at imbalance factor {factor_text(table.factor)}"
    )
    yield (
        f"{escape(table.ranking.column.full_title)} in % {what}, mean ± 95 % interval over n runs; Δ is the difference to "
        f"{escape(reference_text(table.reference))}, `*` where it is significant; # is the rank, one plus the rows that are "
        f"significantly better; `≈` marks rows that may be the best. [The whole leaderboard]({page}) explains the columns and "
        f"has the rest."
    )
    yield ""
