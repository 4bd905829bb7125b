"""The differences between rows of a table with their intervals, for any two rows that a reader chooses."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import msgspec

from ltbench.columns import Unit
from ltbench.leaderboard.statistics.comparisons import Comparisons
from ltbench.leaderboard.statistics.score_array import ScoreArray
from ltbench.leaderboard.tables.cell_text import half_text, p_text, signed
from ltbench.leaderboard.tables.table import Table

MOST = 60
"""Rows of a table whose differences are in the file: the best ones, and the reference."""


class Differences(msgspec.Struct, frozen=True, kw_only=True):
    """Differences of all pairs of `rows`, as `ltbench compare` has them.

    `texts`, `p` and `runs` have an entry for each pair, the upper row minus the lower one: first with second, first with
    third, and so on.
    """

    rows: list[int]
    """Places of the rows in the table, ascending."""
    texts: list[str]
    """In points, or the unit of the score, with the simultaneous 95 % interval, `*` where it leaves out zero; empty where two rows have no run in
    common."""
    p: list[str]
    """Corrected p-values; empty without a test."""
    runs: list[int]


def differences(table: Table, scores: ScoreArray) -> Differences:
    """Return the differences between the rows of a table. scores: those of its board."""
    kept = [
        place for place, row in enumerate(table.rows)
        if row.rank is not None and (place < MOST or row.label == table.reference)
    ]  # fmt: skip
    places = [scores.rows[frozenset(table.rows[place].techniques)] for place in kept]
    found = list(_pairs(places, scores.compared(table.factor), table.ranking.unit))
    return Differences(
        rows=kept, texts=[text for text, _, _ in found], p=[p for _, p, _ in found], runs=[n for _, _, n in found]
    )


def _pairs(rows: Sequence[int], compared: Comparisons, unit: Unit) -> Iterator[tuple[str, str, int]]:
    for first, second in itertools.combinations(rows, 2):
        found = compared.difference(first, second)
        if found is None:
            yield "", "", 0
            continue
        mark = " *" if compared.significant[first, second] else ""
        yield f"{signed(found.mean, unit)}{half_text(found, unit)}{mark}", p_text(compared.p_of(first, second)), found.n
