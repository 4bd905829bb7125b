"""Precision, recall, F1 and support of each class, as a table of markdown (as report schmidt's Fig. 7)."""

from __future__ import annotations

from collections.abc import Sequence

from ltbench.leaderboard.figures.canvas import LABELLED
from ltbench.leaderboard.figures.series import Shown, by_class, classes_of, counts_of, head_to_tail, mean
from ltbench.leaderboard.tables.cell_text import NONE, percent
from ltbench.leaderboard.tables.markdown import escape, folded, plain_table

_NAMES = ("precision", "recall", "f1")


def scores_lines(shown: Sequence[Shown]) -> list[str]:
    """Return a table for each combination that has the numbers; long ones are folded."""
    lines: list[str] = []
    for one in shown:
        columns = {name: by_class(one.records, name) for name in (*_NAMES, "support")}
        size = len(columns["support"])
        if not size or any(len(values) != size for values in columns.values()):
            continue
        runs = f" (n = {len(one.records)})"
        title = f"Precision, recall and F1 of each class, in percent{runs}: "
        table = _table(one, columns, size)
        if size > LABELLED:
            lines += [*folded(title + escape(one.label), table), ""]
        else:
            lines += [f"{title}*{escape(one.label)}*", "", *table, ""]
    return lines


def _table(one: Shown, columns: dict[str, list[float | None]], size: int) -> list[str]:
    counts = counts_of(one.records)
    counts = counts if len(counts) == size else [0] * size
    names = classes_of(one.records, size)
    support = columns["support"]
    rows = [
        [
            escape(names[c]),
            f"{counts[c]:,}" if any(counts) else NONE,
            *(_text(columns[name][c]) for name in _NAMES),
            f"{support[c] or 0:,.0f}",
        ]
        for c in head_to_tail(counts)
    ]
    total = f"{sum(value or 0 for value in support):,.0f}"
    trained = f"{sum(counts):,}" if any(counts) else NONE
    means = [_text(mean(columns[name])) for name in _NAMES]
    rows.append(["*mean of the classes*", trained, *means, total])
    top1 = mean(record.metrics.get("top1") for record in one.records)
    rows.append(["*top-1*", "", "", _text(top1), "", total])
    return plain_table(["class", "training images", "precision", "recall", "F1", "support"], rows, right=range(1, 6))


def _text(value: float | None) -> str:
    return NONE if value is None else percent(value)
