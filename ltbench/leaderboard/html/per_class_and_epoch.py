"""Accuracies per class, learning curves and confusion matrices of combinations, for comparison."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from ltbench.columns import CLASS_ACCURACY
from ltbench.leaderboard.figures.series import (
    by_class,
    classes_of,
    counts_of,
    group_means,
    group_names,
    group_size,
    head_to_tail,
    total_confusion,
)
from ltbench.records.record import Record

POINTS = 60
"""Largest number of points of a learning curve."""


class Classes(msgspec.Struct, frozen=True, kw_only=True):
    """The classes of a table, from head to tail; many of them in groups of neighbours."""

    names: list[str]
    """Of the classes, or of their groups."""
    counts: list[int]
    """Training images of each, of a group the mean of its classes; empty if unknown."""
    order: list[int]
    """Place -> label."""
    size: int
    """Classes of a group; the last one may have fewer."""


class Lines(msgspec.Struct, frozen=True, kw_only=True):
    """Means over the runs of a combination; accuracies in percent."""

    accuracy: list[float | None]
    """Of each class on the test set, from head to tail, or the mean of each group."""
    epoch: list[float]
    train_accuracy: list[float | None]
    train_loss: list[float | None]


class Matrix(msgspec.Struct, frozen=True, kw_only=True):
    """Test images by true class (row) and predicted class (column), from head to tail, summed over runs."""

    runs: int
    size: int
    """Classes of a group: a row or column; the last one may have fewer."""
    images: list[list[int]]


def classes(records: Sequence[Record]) -> Classes:
    """Return the classes of records of one data set and factor."""
    counts = counts_of(records)
    number = len(counts) or next((c.classes for record in records if (c := record.confusion) is not None), 0)
    order = head_to_tail(counts) if counts else list(range(number))
    names = classes_of(records, number)
    size = group_size(number)
    return Classes(
        names=group_names(number) if size > 1 else [names[c] for c in order],
        counts=[round(n or 0) for n in group_means([counts[c] for c in order])] if counts else [],
        order=order,
        size=size,
    )


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
        accuracy=[_percent(value) for value in group_means([values[c] for c in order])] if values else [],
        epoch=[round(epochs[i], 2) for i in picked],
        train_accuracy=[_percent(value) for value in _mean(curves, "accuracy", picked)],
        train_loss=[None if value is None else float(f"{value:.4g}") for value in _mean(curves, "loss", picked)],
    )


def matrix(records: Sequence[Record], order: Sequence[int]) -> Matrix | None:
    """Return the confusion matrix of a combination; None if its records have none."""
    there = [record for record in records if order and (c := record.confusion) is not None and c.classes == len(order)]
    if not there:
        return None
    return Matrix(runs=len(there), size=group_size(len(order)), images=total_confusion(there, order))


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
