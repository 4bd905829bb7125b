"""Data of combinations for figures: means over runs, classes from head to tail."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from ltbench.confusion import Confusion
from ltbench.leaderboard.figures.looks import Look
from ltbench.leaderboard.statistics.estimates import Estimate
from ltbench.leaderboard.tables.cell_text import SURE_DIGITS
from ltbench.leaderboard.tables.rows import Row
from ltbench.leaderboard.tables.table import Table
from ltbench.records.record import Record

MOST = 7
"""Largest number of combinations in a figure with a line or point for each: the reference and six colours."""
ENOUGH = 5
"""Below this number the next best rows are shown, too."""
GROUPS = 100
"""Largest number of classes that are shown one by one; of more, neighbours from head to tail are shown together."""


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """A combination in a figure, with its records at one factor (or all factors for a figure across them)."""

    label: str
    short: str
    """The label without parameters that say nothing on this page."""
    look: Look
    records: list[Record]


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """A mean with the ends of its interval, None where there is none; fractions."""

    mean: float
    low: float | None
    high: float | None

    def bars(self, scale: int) -> list[list[float]] | None:
        """Return what lies below and above the mean, as matplotlib's error bars take it. scale: 100 for percentage points."""
        if self.low is None or self.high is None:
            return None
        return [[scale * (self.mean - self.low)], [scale * (self.high - self.mean)]]


def point(found: Estimate | None) -> Point | None:
    """Return a number of a table as a point, rounded so that its last digits are no reason to draw a figure again."""
    if found is None:
        return None
    low, high = (None, None) if found.interval is None else (round(end, SURE_DIGITS) for end in found.interval)
    return Point(mean=round(found.mean, SURE_DIGITS), low=low, high=high)


def choose_labels(
    tables: Sequence[Table], wanted: Sequence[Iterable[str]], highlight: Iterable[str] | None = None, most: int = MOST
) -> list[str]:
    """Choose the combinations that figures show: few, and those that the page speaks of; most important first.

    They are the reference (else the baseline), the highlighted one, the best one, the wanted ones, the baseline, and
    single techniques by the size of their difference to the reference; the next best ones only where these are very few.
    tables: those of a board, the one that decides first. wanted, highlight: technique labels, in any order.
    """
    by_techniques = {frozenset(name for _, name in row.techniques): row.label for row in tables[0].rows}
    name = tables[0].ranking.name
    first, baseline = reference_label(tables[0]), by_techniques.get(frozenset())
    ranked = next((found for table in tables if (found := [r.label for r in table.rows if r.scores[name]])), [])
    best = [label for label in ranked if label != first]
    singles = sorted((row for row in tables[0].rows if len(row.techniques) == 1), key=lambda row: -_size(row))
    shining = [] if highlight is None else [by_techniques.get(frozenset(highlight))]
    said = [by_techniques.get(frozenset(one)) for one in wanted]
    order = [first, *shining, *best[:1], *said, baseline, *(row.label for row in singles)]
    picked = dict.fromkeys(label for label in order if label is not None)
    more = [label for label in best if label not in picked]
    return [*picked, *more[: max(0, ENOUGH - len(picked))]][:most]


def reference_label(table: Table) -> str | None:
    """Return the label of the reference of a table, else of the baseline; None where the table has neither."""
    there = {row.label for row in table.rows}
    baseline = next((row.label for row in table.rows if not row.techniques), None)
    return table.reference if table.reference in there else baseline


def _size(row: Row) -> float:
    return 0.0 if row.delta is None else abs(row.delta.mean)


def runs_of(shown: Iterable[Series]) -> str:
    """Return the pairs of seeds of the combinations at a factor: `3`, or `2 to 3`."""
    counts = Counter((one.label, record.setting.imbalance_factor) for one in shown for record in one.records)
    return runs_text(counts.values())


def seeds_text(shown: Sequence[Series]) -> str:
    """Return the runs of combinations at a factor for the title of a figure: `3 seeds`."""
    return in_seeds(runs_of(shown), (record for one in shown for record in one.records))


def in_seeds(n: str, records: Iterable[Record]) -> str:
    """Return a number of runs in words: `3 seeds` where subset and training have the same one, else `9 pairs of seeds`."""
    same = all(subset == seed for subset, seed in (record.seeds for record in records))
    return f"{n} {'seed' if same else 'pair'}{'' if n == '1' else 's'}{'' if same else ' of seeds'}"


def runs_text(numbers: Iterable[int]) -> str:
    """Return numbers of runs for the title of a figure: `3`, or `2 to 3`."""
    known = sorted(set(numbers))
    return str(known[0]) if len(known) == 1 else f"{known[0]} to {known[-1]}"


def mean_of(records: Iterable[Record], metric: str) -> float | None:
    """Return the mean of a score over runs; None if it is undefined in all."""
    return mean(record.score(metric) for record in records)


def mean(values: Iterable[float | None]) -> float | None:
    """Return the mean of the known values, independent of their order."""
    known = [float(value) for value in values if value is not None]
    # fsum rounds once, so the order of the values does not matter; digits beyond are noise in the digest of a figure.
    return round(math.fsum(known) / len(known), SURE_DIGITS) if known else None


def by_class(records: Sequence[Record], name: str) -> list[float | None]:
    """Return the mean over runs of a number per class, in label order; empty if no run has it."""
    lists = [record.per_class[name] for record in records if record.per_class.get(name)]
    return [mean(values) for values in zip(*lists, strict=True)] if len({len(one) for one in lists}) == 1 else []


def counts_of(records: Iterable[Record]) -> list[int]:
    """Return the training images of each class, in label order; empty if unknown."""
    return next(([int(n) for n in record.data["counts"]] for record in records if record.data.get("counts")), [])


def classes_of(records: Iterable[Record], number: int) -> list[str]:
    """Return the names of the classes; their indices if no record has names for all."""
    for record in records:
        names = record.data.get("classes")
        if isinstance(names, list) and len(names) == number:
            return [str(name) for name in names]
    return [str(c) for c in range(number)]


def head_to_tail(counts: Sequence[int]) -> list[int]:
    """Return the classes by training images, most first; equal ones in label order."""
    return sorted(range(len(counts)), key=lambda c: (-counts[c], c))


def group_size(classes: int) -> int:
    """Return how many classes are shown together, neighbours from head to tail; the last group may have fewer."""
    return -(-classes // GROUPS)


def group_names(classes: int) -> list[str]:
    """Return the names of the groups of classes that are shown together.

    >>> group_names(8142)[-1]
    'classes 8119 to 8142'
    """
    size = group_size(classes)
    return [f"classes {start + 1} to {min(start + size, classes)}" for start in range(0, classes, size)]


def total_confusion(records: Iterable[Record], order: Sequence[int]) -> list[list[int]]:
    """Return images by true and predicted class from head to tail, summed over records; of many classes by group.

    order: the classes from head to tail. Records of other classes are left out; there is at least one of these.
    """
    import numpy as np

    total = Confusion.total(c for record in records if (c := record.confusion) is not None and c.classes == len(order))
    size = group_size(len(order))
    group_of = np.empty(len(order), dtype=np.int64)
    group_of[list(order)] = np.arange(len(order)) // size
    merged: list[list[int]] = total.merged(group_of, -(-len(order) // size)).tolist()
    return merged


def group_means(values: Sequence[float | None]) -> list[float | None]:
    """Return the mean of each group of classes, of values from head to tail; of few classes the values."""
    size = group_size(len(values))
    return [*values] if size == 1 else [mean(values[start : start + size]) for start in range(0, len(values), size)]
