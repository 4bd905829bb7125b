"""Columns and cell texts of a table, the same for markdown, terminal and report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from ltbench.columns import Column, Unit
from ltbench.leaderboard.statistics.estimates import Estimate
from ltbench.leaderboard.tables.columns import AREA
from ltbench.leaderboard.tables.rows import PublishedRow, Row
from ltbench.leaderboard.tables.short_labels import short_labels
from ltbench.leaderboard.tables.table import Table
from ltbench.technique import written

T = TypeVar("T")
MISSING = "–"
NONE = "n/a"
OWN_COUNTS = "the data set's own class counts"
FAILED = "FAILED"
DELTA = "Δ"
RANK = "rank"
RUNS = "n"
REFERENCE = "reference"
"""In place of a difference, in the row that the others are compared with."""
WIDEST = 8
"""Columns of a table that a reader meets first; the rest is folded."""
MOST_FACTORS = 4
"""Imbalance factors with a column there; of more, the lowest, the middle and the highest one."""
_TITLE = 24
"""Characters of a reference in the heading of a column."""
_LEFT_OUT_LAST = 10_000
"""Above the priorities that metrics declare: first the columns of single factors, at twice this the difference."""
SURE_DIGITS = 9
"""To how many digits figures and tables round a number first, so that a mean of 0.02749999999999 is 2.8 % in both."""


class TextColumn(msgspec.Struct, frozen=True, kw_only=True):
    """One column of a rendered table; `texts` and `best` have an entry for each row."""

    name: str
    score: str
    """The score that the column shows; empty where it shows none."""
    texts: list[str]
    best: list[bool]
    tail: list[str]
    """The interval after the number, which is never bold."""
    priority: int | None = None
    """A terminal that is too narrow leaves out the columns of the lowest priority; None for what is always shown."""
    unit: Unit = "percent"


def columns(table: Table) -> list[TextColumn]:
    """Return the columns before the fold, `WIDEST` at most: rank, techniques, up to five numbers, the difference."""
    every = main_columns(table)
    always = {one.name for one in every if one.priority is None or one.name.startswith(DELTA)}
    always |= {RUNS} if runs_differ(table) else set()
    room = WIDEST - len(always)
    factors = [one.name for one in every if one.score.startswith(f"{table.ranking.name}@")]
    kept = spread(factors, min(room, MOST_FACTORS))
    left = {*always, *factors, RUNS, AREA}
    scores = [one for one in every if one.name not in left and has_numbers(one, table)]
    kept += [one.name for one in sorted(scores, key=lambda one: -(one.priority or 0))][: room - len(kept)]
    return [one for one in every if one.name in always or one.name in kept]


def spread(each: Sequence[T], most: int) -> list[T]:
    """Return all if there are at most `most`, else the first, the middle and the last one."""
    return list(each) if len(each) <= most else [each[0], each[len(each) // 2], each[-1]]


def main_columns(table: Table) -> list[TextColumn]:
    """Return every column but those of folded scores: rank, techniques, mean, runs, difference, factors, area, scores.

    A narrow screen shows the first ones.
    """
    rows = table.rows
    primary = ranking_column(table)
    shown = [_plain(RANK, [rank_text(row) for row in rows]), _names(table)]
    shown.append(_scored(table, replace(primary, title="mean") if table.factor is None else primary, interval=True))
    shown.append(_plain(RUNS, [runs_text(row, table.expected) for row in rows], 50))
    differences = [REFERENCE if row.label == table.reference else delta_text(row, primary.unit) for row in rows]
    shown.append(_plain(delta_title(table.reference), differences, 2 * _LEFT_OUT_LAST))
    if table.factor is None:
        names = [name for name in (rows[0].scores if rows else {}) if name.startswith(f"{primary.name}@")]
        for number, name in enumerate(names):
            # The lowest and the highest factor say most.
            place = len(names) if not number else len(names) + 1 if number == len(names) - 1 else number
            heading = f"IF {name.partition('@')[2]}"
            shown.append(_scored(table, replace(primary, name=name, title=heading, priority=_LEFT_OUT_LAST + place)))
        shown.append(_scored(table, replace(primary, name=AREA, title=AREA, priority=21)))
    return [*shown, *shown_in(table, "main")]


def ranking_column(table: Table) -> Column:
    """Return the column of the number that the rows are ranked by."""
    own = table.ranking.column
    return next((column for column in table.columns if column.name == own.name), own)


def more_columns(table: Table) -> list[TextColumn]:
    """Return the columns of the folded table: techniques, the main columns that do not fit, and the folded scores."""
    first = {one.name for one in columns(table)} | {RUNS}
    rest = [*(one for one in main_columns(table) if one.name not in first), *shown_in(table, "folded")]
    return [_names(table), *(one for one in rest if has_numbers(one, table))]


def has_numbers(column: TextColumn, table: Table) -> bool:
    """Return whether a column has more than dashes and n/a, measured or published."""
    empty = all(text in (MISSING, NONE, "") for text in column.texts)
    return not empty or any(column.score in one.numbers for one in table.published)


def shown_in(table: Table, place: str) -> list[TextColumn]:
    """Return the columns of the scores that metrics declare for a place, as `folded` or `report`; none across factors."""
    if table.factor is None:
        return []
    declared = [
        one for one in table.columns if one.shown == place and one.name != table.ranking.name and not one.per_class
    ]
    return [_scored(table, one) for one in sorted(declared, key=lambda one: one.order)]


def rank_text(row: Row) -> str:
    """Return the ranks that a row may have: `3`, `1–4`, a dash if there is none."""
    return ranks_text(row.rank, row.last_rank)


def ranks_text(first: int | None, last: int | None) -> str:
    """Return a range of ranks as tables write it."""
    if first is None:
        return MISSING
    return str(first) if first == last else f"{first}–{last}"


def runs_differ(table: Table) -> bool:
    """Return whether rows differ in their numbers of runs, so that a table needs a column of them."""
    return len({row.n for row in table.rows}) > 1


def runs_text(row: Row, expected: int) -> str:
    """Return the pairs of seeds of a row: `3`, or `2/3 seeds` if some are missing."""
    return str(row.n) if row.n == expected else f"{row.n}/{expected} seeds"


def delta_title(reference: str) -> str:
    """Return the heading of the differences to a row: `Δ` for the baseline, else with the row's label, cut if long."""
    short = reference if len(reference) <= _TITLE else f"{reference[: _TITLE - 1]}…"
    return DELTA if reference == "baseline" else f"{DELTA} {short}"


def reference_text(reference: str) -> str:
    """Return a table's reference as it is written within a sentence."""
    return "the baseline" if reference == "baseline" else reference


def delta_text(row: Row, unit: Unit = "percent") -> str:
    """Return the difference to the reference with its interval, and `*` if it is significant."""
    if row.delta is None:
        return ""
    return f"{signed(row.delta.mean, unit)}{half_text(row.delta, unit)}{' *' if row.separated else ''}"


def published_label(one: PublishedRow, table: Table) -> str:
    """Return the label of published numbers, as the table writes those of its rows."""
    return short_labels(table).get(one.label, one.label)


def published_text(one: PublishedRow, column: TextColumn) -> str:
    """Return the cell of published numbers in a column: a number, a dash for the rank, nothing where none is published."""
    if column.name == RANK:
        return MISSING
    return number_text(one.numbers[column.score], column.unit) if column.score in one.numbers else ""


def percent(fraction: float) -> str:
    """Return a fraction in percent with one decimal, never `-0.0`."""
    return _written(100 * round(fraction, SURE_DIGITS), 1)


def number_text(value: float, unit: Unit) -> str:
    """Return a score as tables write it: in percent, or as it is with three decimals."""
    return percent(value) if unit == "percent" else _written(round(value, SURE_DIGITS), 3)


def _written(number: float, digits: int) -> str:
    return f"{round(number, digits) + 0.0:.{digits}f}"


def signed(difference: float, unit: Unit = "percent") -> str:
    """Return a difference with its sign, in percentage points or as it is; U+2212, as browsers wrap after a hyphen."""
    text = number_text(difference, unit)
    return text if not float(text) else text.replace("-", "−") if text.startswith("-") else f"+{text}"


def points(unit: Unit) -> str:
    """Return the word after a difference: ` points` of percent, nothing if the score has a unit of its own."""
    return " points" if unit == "percent" else ""


def scale(unit: Unit) -> int:
    """Return by what a score is multiplied where it is drawn: 100 for percent."""
    return 100 if unit == "percent" else 1


def axis_title(title: str, unit: Unit) -> str:
    """Return the title of an axis of scores."""
    return f"{title}, %" if unit == "percent" else title


def p_text(p: float | None) -> str:
    """Return a p-value with three decimals; empty without a test."""
    return "" if p is None else "<0.001" if p < 0.001 else f"{p:.3f}"


def half_text(estimate: Estimate, unit: Unit = "percent") -> str:
    """Return the interval that follows a mean, ` ± 0.5` or with both ends; empty where there is none."""
    if estimate.ends is not None:
        low, high = (number_text(end, unit).replace("-", "−") for end in estimate.ends)
        return f" ({low} to {high})"
    return "" if estimate.half is None else f" ± {number_text(estimate.half, unit)}"


def factor_text(factor: float) -> str:
    """Return an imbalance factor as headings write it: `100`, `12.5`."""
    return written(factor)


def place_text(factor: float, data: Mapping[str, Any]) -> str:
    """Return the place of a table or record in words: `imbalance factor 100`, or that its data set keeps its own counts.

    data: of a record. Every profile that makes an imbalance makes none at factor 1, so classes of unequal size are as
    the data set has them.
    """
    counts = data.get("counts") or [0]
    return OWN_COUNTS if factor == 1 and max(counts) != min(counts) else f"imbalance factor {factor_text(factor)}"


def _names(table: Table) -> TextColumn:
    short = short_labels(table)
    return _plain("techniques", [short.get(row.label, row.label) for row in table.rows])


def _plain(name: str, texts: list[str], priority: int | None = None) -> TextColumn:
    many = len(texts)
    return TextColumn(name=name, score="", texts=texts, best=[False] * many, tail=[""] * many, priority=priority)


def _scored(table: Table, column: Column, *, interval: bool = False) -> TextColumn:
    estimates = [row.scores.get(column.name) for row in table.rows]
    texts = [_score_text(row, column, estimate) for row, estimate in zip(table.rows, estimates, strict=True)]
    # Bold follows the rounded number: texts that are equal are equally good.
    sign = 1 if column.higher_is_better else -1
    rounded = [None if one is None else sign * float(number_text(one.mean, column.unit)) for one in estimates]
    known = [number for number in rounded if number is not None]
    # Where all are the same, none is best.
    top = max(known) if len(set(known)) > 1 else None
    return TextColumn(
        name=column.title,
        score=column.name,
        texts=texts,
        best=[number is not None and number == top for number in rounded],
        tail=[half_text(one, column.unit) if interval and one is not None else "" for one in estimates],
        priority=None if interval else column.priority,
        unit=column.unit,
    )


def _score_text(row: Row, column: Column, estimate: Estimate | None) -> str:
    if estimate is not None:
        return number_text(estimate.mean, column.unit)
    if column.name in row.failed_scores:
        return FAILED
    return NONE if row.n else MISSING
