"""Learning curves of records: a figure shows no more points than these."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

POINTS: Final = 100
"""Largest number of epochs of the curve of a record."""


def thinned(curve: Mapping[str, Any]) -> dict[str, Any]:
    """Return a curve with at most `POINTS` epochs, evenly spaced, the first and the last one included.

    >>> thinned({"epoch": [1.0, 2.0], "lr": [0.2, 0.1]})
    {'epoch': [1.0, 2.0], 'lr': [0.2, 0.1]}
    """
    epochs = len(curve.get("epoch", ()))
    if epochs <= POINTS:
        return dict(curve)
    places = [round(i * (epochs - 1) / (POINTS - 1)) for i in range(POINTS)]
    return {
        name: [values[i] for i in places] if isinstance(values, list) and len(values) == epochs else values
        for name, values in curve.items()
    }
