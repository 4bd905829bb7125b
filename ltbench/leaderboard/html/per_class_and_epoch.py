"""Accuracies per class, learning curves and confusion matrices of combinations, for comparison."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from ltbench.columns import CLASS_ACCURACY
from ltbench.leaderboard.figures.series import by_class, classes_of, counts_of, head_to_tail
from ltbench.records.record import Record

GROUPS = 100
"""Largest size of a confusion matrix; with more classes, neighbouring ones are merged."""
POINTS = 60
"""Largest number of points of a learning curve."""


class Classes(msgspec.Struct, frozen=True, kw_only=True):
    """The classes of a table, from head to tail."""

    names: list[str]
    counts: list[int]
    """Training images of each; empty if unknown."""
    order: list[int]
    """Place -> label."""


class Lines(msgspec.Struct, frozen=True, kw_only=True):
    """Means over the runs of a combination; accuracies in percent."""

    accuracy: list[float | None]
    """Of each class on the test set, from head to tail."""
    epoch: list[float]
    train_accuracy: list[float | None]
    train_loss: list[float | None]


class Matrix(msgspec.Struct, frozen=True, kw_only=True):
    """Test images by true class (row) and predicted class (column), from head to tail, summed over runs."""

    runs: int
    size: int
    """Classes merged into a row or column; the last one may have fewer."""
    images: list[list[int]]


def classes(records: Sequence[Record]) -> Classes:
    """Return the classes of records of one data set and factor."""
    counts = counts_of(records)
    sizes = (len(counts), *(len(record.confusion) for record in records))
    number = next((size for size in sizes if size), 0)
    order = head_to_tail(counts) if counts else list(range(number))
    names = classes_of(records, number)
    return Classes(names=[names[c] for c in order], counts=[counts[c] for c in order] if counts else [], order=order)


def lines(records: Sequence[Record], order: Sequence[int]) -> Lines | None:
    """Return the lines of a combination; None if its records have none."""
    values = by_class(records, CLASS_ACCURACY)
    if len(values) != len(order):
        values = []
    curves = _with_equal_epochs(records)
    if not values and not curves:
        return None
    epochs = curves[0]["epoch"] if curves else []
    picked = _thinned(len(epochs))
    return Lines(
        accuracy=[_percent(values[c]) for c in order] if values else [],
        epoch=[round(epochs[i], 2) for i in picked],
        train_accuracy=[_percent(value) for value in _mean(curves, "accuracy", picked)],
        train_loss=[None if value is None else float(f"{value:.4g}") for value in _mean(curves, "loss", picked)],
    )


def matrix(records: Sequence[Record], order: Sequence[int]) -> Matrix | None:
    """Return the confusion matrix of a combination; None if its records have none."""
    confusions = [record.confusion for record in records if len(record.confusion) == len(order)]
    if not confusions or not order:
        return None
    total = np.zeros((len(order), len(order)), dtype=np.int64)
    for confusion in confusions:
        total += np.asarray(confusion, dtype=np.int64)
    total = total[np.ix_(order, order)]
    size = -(-len(order) // GROUPS)
    starts = np.arange(0, len(order), size)
    pooled = np.add.reduceat(np.add.reduceat(total, starts, axis=0), starts, axis=1)
    return Matrix(runs=len(confusions), size=size, images=pooled.tolist())


def _with_equal_epochs(records: Sequence[Record]) -> list[dict[str, list[float]]]:
    """Return the curves that can be averaged: those with the epochs of the first one."""
    curves = [record.curve for record in records if record.curve.get("epoch")]
    return [curve for curve in curves if curve["epoch"] == curves[0]["epoch"]]


def _mean(curves: Sequence[dict[str, list[float]]], name: str, picked: Sequence[int]) -> list[float | None]:
    there = [curve[name] for curve in curves if len(curve.get(name, ())) == len(curve["epoch"])]
    if not there:
        return []
    means = np.mean(np.asarray(there, dtype=np.float64)[:, picked], axis=0)
    return [float(value) if np.isfinite(value) else None for value in means]


def _thinned(number: int) -> list[int]:
    """Return the indices of at most POINTS of `number` points, evenly spaced, with the last one."""
    return sorted({round(i) for i in np.linspace(0, number - 1, min(number, POINTS))}) if number else []


def _percent(value: float | None) -> float | None:
    return None if value is None else round(100 * value, 2)
