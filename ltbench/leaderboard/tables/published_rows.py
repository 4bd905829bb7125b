"""Published numbers as rows of a table, beside the measured ones: never ranked, compared or counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean

from msgspec.structs import replace

from ltbench.leaderboard.statistics.record_groups import BoardFields
from ltbench.leaderboard.tables.rows import PublishedRow, factor_score
from ltbench.leaderboard.tables.table import Board, Table
from ltbench.suite.published import Reported


def with_published(boards: Iterable[Board], reported: Sequence[Reported]) -> list[Board]:
    """Return the boards, each table with the published numbers that belong in it."""
    if not reported:
        return list(boards)
    return [
        replace(
            board,
            tables=[replace(one, published=published_rows(one, reported, board)) for one in board.tables],
            across=board.across and replace(
                board.across,
                published=published_rows(board.across, reported, board, [one.factor or 1.0 for one in board.tables]),
            ),
        )
        for board in boards
    ]  # fmt: skip


def published_rows(
    table: Table, reported: Iterable[Reported], board: BoardFields, factors: Sequence[float] = ()
) -> tuple[PublishedRow, ...]:
    """Return the published numbers of a table: a row for each combination and source, in the order of the suite.

    Numbers are those of the board's settings, at the table's factor, of scores that the table has. factors: those of the
    table across factors, which has the number at each, and their mean where all of them are published. There, places of
    the report that have one factor each are one row.
    """
    scores = {table.ranking.name, *(column.name for column in table.columns if not column.per_class)}
    wanted = {table.factor} if table.factor is not None else set(factors)
    scores = scores if table.factor is not None else {table.ranking.name}
    found: dict[tuple[frozenset[str], str, int], list[Reported]] = {}
    again = Counter[tuple[frozenset[str], str, str, float]]()
    for one in reported:
        if one.metric in scores and one.imbalance_factor in wanted and board.matches(one):
            techniques = frozenset(one.techniques)
            same = techniques, one.source, one.metric, one.imbalance_factor
            # A second number of the same cell has a row of its own.
            found.setdefault((techniques, one.source, again[same]), []).append(one)
            again[same] += 1
    order = {label: place for row in table.rows for place, (_, label) in enumerate(row.techniques)}
    labels = {frozenset(label for _, label in row.techniques): row.label for row in table.rows}
    rows = []
    for techniques, numbers in _lines(found, len(wanted)):
        named = tuple(sorted(numbers[0].techniques, key=lambda name: order.get(name, 0)))
        by_score = {
            one.metric if table.factor is not None else factor_score(one.metric, one.imbalance_factor): one
            for one in numbers
        }
        values = {name: one.number for name, one in by_score.items()}
        # A mean over some of the factors would stand beside means over all of them.
        if table.factor is None and len(values) == len(wanted):
            values[table.ranking.name] = fmean(values.values())
        rows.append(
            PublishedRow(
                label=labels.get(techniques) or " + ".join(named) or "baseline",
                techniques=named,
                source=", ".join(dict.fromkeys(one.source for one in numbers)),
                numbers=values,
                notes={name: one.note for name, one in by_score.items() if one.note},
                measured=techniques in labels,
            )
        )
    return tuple(rows)


def _lines(
    found: Mapping[tuple[frozenset[str], str, int], list[Reported]], factors: int
) -> list[tuple[frozenset[str], list[Reported]]]:
    """Return the numbers of each row; factors: those that a whole row has."""
    lines: list[tuple[frozenset[str], list[Reported]]] = []
    for (techniques, _, _), numbers in found.items():
        mine = {one.imbalance_factor for one in numbers}
        for other, line in lines:
            there = {one.imbalance_factor for one in line}
            if other == techniques and max(len(mine), len(there)) < factors and not mine & there:
                line.extend(numbers)
                break
        else:
            lines.append((techniques, list(numbers)))
    return lines
