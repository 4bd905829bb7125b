"""Data of combinations for figures: means over runs, classes from head to tail."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from ltbench.leaderboard.statistics.record_groups import RecordGroup
from ltbench.records.record import Record, combination_order

MOST = 6
"""Largest number of combinations in a figure with a line or bar for each."""
_DIGITS = 9


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """A combination in a figure, with its records at one factor (or all factors for a figure across them)."""

    label: str
    records: list[Record]


def choose_series(
    group: RecordGroup,
    factors: Sequence[float],
    wanted: Iterable[Iterable[str]],
    reference: Iterable[str] = (),
    most: int = MOST,
) -> list[Series]:
    """Choose the combinations of a figure: the reference, the wanted ones, the baseline, then the best, up to `most`.

    They are sorted: the reference first, simple combinations before others. reference: empty for the baseline.
    """
    by_labels: dict[frozenset[str], list[Record]] = {}
    for record in group.records:
        if record.status == "ok" and record.setting.imbalance_factor in factors:
            by_labels.setdefault(frozenset(label for _, label in record.techniques), []).append(record)
    ranking = group.ranking
    means = {labels: mean_of(records, ranking.name) for labels, records in by_labels.items()}
    best = sorted(by_labels, key=lambda labels: (-ranking.sign * (means[labels] or 0.0), sorted(labels)))
    picked: list[frozenset[str]] = []
    first = frozenset(reference)
    for labels in (first, *map(frozenset, wanted), frozenset[str](), *best):
        if labels in by_labels and labels not in picked and len(picked) < most:
            picked.append(labels)
    picked.sort(key=lambda labels: (labels != first, combination_order(by_labels[labels][0].techniques)))
    return [Series(label=by_labels[labels][0].label, records=by_labels[labels]) for labels in picked]


def runs_of(shown: Iterable[Series]) -> str:
    """Return the pairs of seeds of the combinations at a factor: `3`, or `2 to 3`."""
    counts = Counter((one.label, record.setting.imbalance_factor) for one in shown for record in one.records)
    return runs_text(counts.values())


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
    return round(math.fsum(known) / len(known), _DIGITS) if known else None


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
