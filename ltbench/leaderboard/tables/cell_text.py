"""The text of a table's cells, the same for markdown and terminal: percent with one decimal, fixed order."""

from __future__ import annotations

import msgspec

from ltbench.leaderboard.statistics.tests_and_intervals import Estimate
from ltbench.leaderboard.tables.table import AREA, PRIMARY, Row, Table
from ltbench.technique import written

MISSING = "–"
LIKE_BEST = "≈"
NONE = "n/a"
FAILED = "FAILED"
_FIRST = (("many", "many", 1), ("medium", "med.", 1), ("few", "few", 1), ("worst_class", "worst", 1))
_REST = (
    ("head_third", "head", 1),
    ("middle_third", "middle", 1),
    ("tail_third", "tail", 1),
    ("sd_classes", "SD", -1),
    ("macro_f1", "F1", 1),
    ("ece", "ECE", -1),
)
"""Metric, heading, and whether high (1) or low (-1) is good."""


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """One column of a rendered table; `texts` and `best` have an entry for each row."""

    name: str
    score: str
    """The metric that the column shows; empty where it shows none."""
    texts: list[str]
    best: list[bool]
    tail: list[str]
    """What follows the number and is never bold: an interval."""


def columns(table: Table) -> list[Column]:
    """Return the columns of a table from left to right: rank, techniques, primary score, runs, difference, groups."""
    rows = table.rows
    shown = [_plain("#", [rank_text(row) for row in rows]), _names(table)]
    if sum(row.rank is not None for row in rows) > 1:
        shown.append(_plain("best", [best_text(row) for row in rows]))
    if table.factor is None:
        names = [name for name in (rows[0].scores if rows else {}) if name.startswith(f"{PRIMARY}@")]
        shown += [_scored(table, name, f"IF {name.partition('@')[2]}", 1) for name in names]
        shown.append(_scored(table, PRIMARY, "mean", 1, interval=True))
        shown.append(_scored(table, AREA, "area", 1))
    else:
        shown.append(_scored(table, PRIMARY, "top-1", 1, interval=True))
    shown.append(_plain("n", [runs_text(row, table.expected) for row in rows]))
    shown.append(_plain("Δ", [delta_text(row) for row in rows]))
    if table.factor is not None:
        shown += [_scored(table, name, heading, sign) for name, heading, sign in _FIRST]
    return shown


def more_columns(table: Table) -> list[Column]:
    """Return what a first look at the table of one factor does without: techniques, thirds, spread, F1, calibration."""
    return [_names(table), *(_scored(table, name, heading, sign) for name, heading, sign in _REST)]


def rank_text(row: Row) -> str:
    """Return `3`, `1=` where others share the rank, and a dash where there is none."""
    return MISSING if row.rank is None else f"{row.rank}{'=' if row.shared else ''}"


def best_text(row: Row) -> str:
    """Return `best`, or `≈` for a row that no test tells from the best one."""
    return "" if row.rank is None or not row.like_best else "best" if row.to_best is None else LIKE_BEST


def runs_text(row: Row, expected: int) -> str:
    """Return how many pairs of seeds a row has: `3`, or `2/3 seeds` where some are missing."""
    return str(row.n) if row.n == expected else f"{row.n}/{expected} seeds"


def delta_text(row: Row) -> str:
    """Return the difference to the baseline with its interval, and `*` where a test separates the two."""
    if row.delta is None:
        return ""
    return f"{signed(row.delta.mean)}{half_text(row.delta)}{' *' if row.separated else ''}"


def percent(fraction: float) -> str:
    """Return a fraction in percent with one decimal, never `-0.0`."""
    return f"{round(100 * fraction, 1) + 0.0:.1f}"


def signed(fraction: float) -> str:
    """Return a difference in percentage points with its sign; a minus sign of typography, which does not wrap."""
    text = percent(fraction)
    return "0.0" if text == "0.0" else text.replace("-", "−") if text.startswith("-") else f"+{text}"


def half_text(estimate: Estimate) -> str:
    """Return the interval as it follows a mean; empty for a single run."""
    return "" if estimate.half is None else f" ± {percent(estimate.half)}"


def factor_text(factor: float) -> str:
    """Return an imbalance factor as headings write it: `100`, `12.5`."""
    return written(factor)


def _names(table: Table) -> Column:
    return _plain("techniques", [row.label for row in table.rows])


def _plain(name: str, texts: list[str]) -> Column:
    return Column(name=name, score="", texts=texts, best=[False] * len(texts), tail=[""] * len(texts))


def _scored(table: Table, metric: str, heading: str, sign: int, *, interval: bool = False) -> Column:
    found = [row.scores.get(metric) for row in table.rows]
    texts = [_score_text(row, metric, one) for row, one in zip(table.rows, found, strict=True)]
    # What reads the same is equally good: bold follows the rounded number.
    rounded = [None if one is None else sign * float(percent(one.mean)) for one in found]
    known = [number for number in rounded if number is not None]
    # Where all are the same, none is best.
    top = max(known) if len(set(known)) > 1 else None
    return Column(
        name=heading,
        score=metric,
        texts=texts,
        best=[number is not None and number == top for number in rounded],
        tail=[half_text(one) if interval and one is not None else "" for one in found],
    )


def _score_text(row: Row, metric: str, estimate: Estimate | None) -> str:
    if estimate is not None:
        return percent(estimate.mean)
    if metric in row.failed_scores:
        return FAILED
    return NONE if row.n else MISSING
