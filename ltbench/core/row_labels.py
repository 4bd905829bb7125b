"""The label of a combination of techniques, by which the rows of a leaderboard are called."""

from __future__ import annotations

from collections.abc import Iterable

BASELINE = "baseline"
"""The row without a technique."""
_AND = " + "


def row_label(techniques: Iterable[str]) -> str:
    """Return the label of a combination from those of its techniques."""
    return _AND.join(techniques) or BASELINE


def techniques_of(row: str) -> list[str]:
    """Return the labels of the techniques of a row."""
    return [] if row == BASELINE else row.split(_AND)
