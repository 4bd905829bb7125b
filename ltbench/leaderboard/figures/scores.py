"""The numbers of each class (precision, recall, F1 and support), as a table of markdown (as report schmidt's Fig. 7)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from ltbench.columns import CLASS_SUPPORT, PER_CLASS, TOP1, Column, Unit
from ltbench.leaderboard.figures.canvas import LABELLED
from ltbench.leaderboard.figures.series import (
    GROUPS,
    Series,
    by_class,
    classes_of,
    counts_of,
    head_to_tail,
    mean,
    mean_of,
)
from ltbench.leaderboard.tables.cell_text import NONE, number_text
from ltbench.leaderboard.tables.markdown import details, escape, plain_table
from ltbench.longtail import groups

_PERCENTILES = {0: "lowest class", 10: "10th percentile", 25: "25th percentile", 50: "median class", 75: "75th percentile",
                90: "90th percentile", 100: "highest class"}  # fmt: skip


def scores_lines(shown: Sequence[Series], declared: Iterable[Column]) -> list[str]:
    """Return a table for each combination that has numbers per class; long ones are folded."""
    columns = [column for column in declared if column.per_class and column.shown in ("main", "folded")]
    columns.sort(key=lambda column: column.order)
    lines: list[str] = []
    for one in shown:
        support = by_class(one.records, CLASS_SUPPORT)
        size = len(support)
        scores = {column: by_class(one.records, column.name.removeprefix(PER_CLASS)) for column in columns}
        scores = {column: values for column, values in scores.items() if len(values) == size}
        if not size or not scores:
            continue
        *others, last = [column.title for column in scores]
        names = f"{', '.join(others)} and {last}" if others else last
        unit = ", in percent" if all(column.unit == "percent" for column in scores) else ""
        title = f"{names[0].upper()}{names[1:]} of each class{unit} (n = {len(one.records)}): "
        table = _table(one, scores, support)
        if size > LABELLED:
            lines += [*details(title + escape(one.label), table), ""]
        else:
            lines += [f"{title}*{escape(one.label)}*", "", *table, ""]
    return lines


def _table(one: Series, scores: dict[Column, list[float | None]], support: list[float | None]) -> list[str]:
    size = len(support)
    counts = counts_of(one.records)
    counts = counts if len(counts) == size else [0] * size
    names = classes_of(one.records, size)
    rows = (
        _summary(scores, support, counts)
        if size > GROUPS
        else [
            [
                escape(names[c]),
                f"{counts[c]:,}" if any(counts) else NONE,
                *(_text(values[c], column.unit) for column, values in scores.items()),
                f"{support[c] or 0:,.0f}",
            ]
            for c in head_to_tail(counts)
        ]
    )
    total = f"{sum(value or 0 for value in support):,.0f}"
    trained = f"{sum(counts):,}" if any(counts) else NONE
    means = [_text(mean(values), column.unit) for column, values in scores.items()]
    rows.append(["*mean of the classes*", trained, *means, total])
    top1 = _text(mean_of(one.records, TOP1), "percent")
    # Below the middle one of three, as the report prints it.
    place = len(scores) // 2
    rows.append(["*top-1*", "", *(top1 if i == place else "" for i in range(len(scores))), total])
    head = ["class", "training images", *(column.title for column in scores), "support"]
    return plain_table(head, rows, right=range(1, len(head)))


def _summary(
    scores: dict[Column, list[float | None]], support: list[float | None], counts: list[int]
) -> list[list[str]]:
    """Return rows of groups of classes by training images, and of percentiles: thousands of rows tell nobody anything."""
    rows = []
    for name, members in groups(counts).items() if any(counts) else ():
        means = [_text(mean(values[c] for c in members), column.unit) for column, values in scores.items()]
        images = f"{sum(counts[c] for c in members):,}"
        rows.append(
            [f"*{name}: {len(members):,} classes*", images, *means, f"{sum(support[c] or 0 for c in members):,.0f}"]
        )
    for share, name in _PERCENTILES.items():
        texts = [_text(_percentile(values, share), column.unit) for column, values in scores.items()]
        rows.append([f"*{name}*", "", *texts, ""])
    return rows


def _percentile(values: Iterable[float | None], share: int) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.percentile(known, share)) if known else None


def _text(value: float | None, unit: Unit) -> str:
    return NONE if value is None else number_text(value, unit)
