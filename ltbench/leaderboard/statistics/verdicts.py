"""Every verdict of a table, from one family of tests, so that no two of them contradict each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from ltbench.leaderboard.statistics.tests_and_intervals import LEVEL, estimates, holm, welch, zero_p

if TYPE_CHECKING:
    import numpy.typing as npt

    from ltbench.leaderboard.statistics.tests_and_intervals import Floats

_BLOCK = 200_000
"""Pairs of rows that are tested at once: all 125,000 pairs of 500 rows, within some tens of megabytes."""


class Machines(msgspec.Struct, frozen=True):
    """Types of machines on which the rows of a table were run."""

    types: npt.NDArray[np.intp]
    """int [rows, cells]: number of the type, -1 where there is no record; a run may have several cells."""
    unlike: npt.NDArray[np.bool_]
    """bool [types, types]: whether two types may give other numbers."""

    def differ(self, first: npt.NDArray[np.intp], second: npt.NDArray[np.intp]) -> npt.NDArray[np.bool_]:
        """Return for each pair of rows whether they were run on unlike machines somewhere."""
        result = np.zeros(len(first), dtype=bool)
        if not self.unlike.any():
            return result
        for start in range(0, len(first), _BLOCK):
            one, two = (self.types[rows[start : start + _BLOCK]] for rows in (first, second))
            result[start : start + _BLOCK] = (self.unlike[one, two] & (one >= 0) & (two >= 0)).any(axis=1)
        return result


class Verdicts(msgspec.Struct, frozen=True, kw_only=True):
    """What the tests of a table say of each row: its rank, and how it stands to a reference row and to the best row."""

    places: list[int | None]
    """Rank of each row: one plus the rows that are significantly better; None for a row without a number."""
    best: int | None
    """Index of the row with the best mean; None if no row has a number."""
    p_reference: list[float | None]
    """Corrected p-value of the difference to the reference row; None for that row, and with too few runs."""
    separated: list[bool]
    """Whether the row differs significantly from the reference row."""
    p_best: list[float | None]
    """Corrected p-value that some row is better; None for the best row, and with too few runs."""
    apart: list[bool]
    """Whether some row is significantly better, so that this one is not among the best."""
    pairs: int
    """Pairs of rows over which the tests are corrected."""
    level: float
    """The level of a single test between two rows that are not the reference."""


def verdicts(values: Floats, reference: int | None = None, machines: Machines | None = None) -> Verdicts:
    """Test all pairs of rows as one family, and return every verdict that a table shows.

    values: float [rows, runs]; reference: the row to compare with, such as the baseline; machines: where rows were run.

    Each pair of rows is tested by a paired t test over the runs of both, or by Welch's test where the two rows of a run
    are of different types of machines; Holm's correction over all pairs bounds the chance of even one false difference
    in the table by 5 %. Tests against the reference row, which is chosen before looking, carry half of the weight. The
    best row is chosen by the same numbers, so a test against it has to be one of all pairs.

    The verdicts cannot contradict each other, as they are conclusions from one list of differences: rows are ordered
    by their means, what follows from two differences (a above b, b above c) counts too, and whoever is below another
    row is not among the best.
    """
    means = [None if one is None else one.mean for one in estimates(values)]
    order = sorted((row for row, mean in enumerate(means) if mean is not None), key=lambda row: -(means[row] or 0.0))
    many, base = len(order), order.index(reference) if reference in order else None
    p, pairs = _corrected(values, order, base, machines)
    direct = p < LEVEL
    above = np.zeros((many, many), dtype=bool)
    for row in range(many):
        better = np.flatnonzero(direct[:row, row])
        above[row, better] = True
        above[row] |= above[better].any(axis=0)
    counts = above.sum(axis=1)
    against = np.full(many, np.inf) if base is None else _along_paths(p, base)
    strongest = [p[:row, row].min(initial=np.inf) for row in range(many)]
    places: list[int | None] = [None] * len(values)
    p_reference: list[float | None] = [None] * len(values)
    p_best: list[float | None] = [None] * len(values)
    separated, apart = [False] * len(values), [False] * len(values)
    for place, row in enumerate(order):
        places[row] = int(counts[place]) + 1
        apart[row] = bool(counts[place])
        p_best[row] = _known(strongest[place])
        if place != base:
            p_reference[row] = _known(against[place])
            separated[row] = bool(against[place] < LEVEL)
    others = pairs - (0 if base is None else min(pairs, many - 1))
    return Verdicts(
        places=places, best=order[0] if order else None, p_reference=p_reference, separated=separated, p_best=p_best,
        apart=apart, pairs=pairs, level=LEVEL / max(1, others) / (1 if base is None or not others else 2),
    )  # fmt: skip


def _known(p: float) -> float | None:
    return float(p) if np.isfinite(p) else None


def _corrected(values: Floats, order: Sequence[int], base: int | None, machines: Machines | None) -> tuple[Floats, int]:
    """Return corrected p-values, float [rows in order, rows in order], and the number of tests.

    Above the diagonal: that the upper row is better; infinite where nothing was tested, and 1 where the runs of both
    contradict the order of the means.
    """
    many = len(order)
    upper, lower = np.triu_indices(many, k=1)
    lines = np.array(order, dtype=np.intp)
    tested = _p_of_pairs(values, lines[upper], lines[lower], machines)
    gaps = values[lines[upper]] - values[lines[lower]]
    against = np.where(np.isfinite(gaps), gaps, 0.0).sum(axis=1) < 0
    tested[against & np.isfinite(tested)] = 1.0
    weights = np.ones(len(tested))
    with_base = (upper == base) | (lower == base)
    counted = np.isfinite(tested)
    if (counted & with_base).any() and (counted & ~with_base).any():
        weights[with_base] = (counted & ~with_base).sum() / (counted & with_base).sum()
    p = np.full((many, many), np.inf)
    corrected = holm(tested, weights)
    p[upper, lower] = np.where(np.isfinite(corrected), corrected, np.inf)
    return p, int(counted.sum())


def _along_paths(p: Floats, base: int) -> Floats:
    """Return the least level at which the difference of each row to row `base` follows: the weakest test of a chain.

    p: float [rows, rows], of an upper and a lower row.
    """
    result = np.full(len(p), np.inf)
    result[base] = 0.0
    for row in range(base + 1, len(p)):
        result[row] = np.maximum(result[base:row], p[base:row, row]).min()
    for row in range(base - 1, -1, -1):
        result[row] = np.maximum(result[row + 1 : base + 1], p[row, row + 1 : base + 1]).min()
    return result


def _p_of_pairs(
    values: Floats, first: npt.NDArray[np.intp], second: npt.NDArray[np.intp], machines: Machines | None
) -> Floats:
    """Return two-sided p-values of tests between rows `first` and `second`; NaN with fewer than two runs."""
    p = np.full(len(first), np.nan)
    for start in range(0, len(first), _BLOCK):
        block = slice(start, start + _BLOCK)
        p[block] = zero_p(values[first[block]] - values[second[block]])
    if machines is not None:
        for pair in np.flatnonzero(machines.differ(first, second)):
            p[pair] = welch(values[first[pair]], values[second[pair]])[1]
    return p
