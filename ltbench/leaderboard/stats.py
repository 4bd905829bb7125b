"""Means, intervals and paired tests over seeds, by scipy.

A matrix `values` is float [rows, runs]: one row per combination, one column per pair of seeds, NaN where a cell is
missing. Runs of one column share subset, initial weights and batch order, so rows are compared within columns.
"""

from __future__ import annotations

import itertools
from functools import cache
from typing import TYPE_CHECKING

import msgspec
import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

LEVEL = 0.05
"""Family-wise error of a table's tests, and one minus the confidence of its intervals."""
_CONSTANT = 1e-12
_BLOCK = 200_000


class Estimate(msgspec.Struct, frozen=True):
    """A mean over n runs; `sd` and `half`, half the width of its 95 % interval, are None where n is 1."""

    mean: float
    sd: float | None
    half: float | None
    n: int


@cache
def t_quantile(df: int) -> float:
    """Return the two-sided 95 % quantile of Student's t."""
    from scipy import stats

    return float(stats.t.ppf(1 - LEVEL / 2, df))


def estimates(values: Floats) -> list[Estimate | None]:
    """Return the estimate of each row; None for a row without a number.

    The interval is mean +- t(0.975, n - 1) * sd / sqrt(n): it takes runs as independent draws of a normal
    distribution.
    """
    known = np.isfinite(values)
    counts = known.sum(axis=1)
    filled = np.where(known, values, 0.0)
    means = filled.sum(axis=1) / np.maximum(counts, 1)
    squares = np.where(known, (filled - means[:, None]) ** 2, 0.0).sum(axis=1)
    result: list[Estimate | None] = []
    for n, mean, square in zip(counts.tolist(), means.tolist(), squares.tolist(), strict=True):
        if n == 0:
            result.append(None)
        elif n == 1:
            result.append(Estimate(mean, None, None, 1))
        else:
            sd = (square / (n - 1)) ** 0.5
            result.append(Estimate(mean, sd, t_quantile(n - 1) * sd / n**0.5, n))
    return result


def differences(values: Floats, reference: int) -> list[Estimate | None]:
    """Return the estimate of each row's difference to the row `reference`, over the runs that both have."""
    return estimates(values - values[reference])


def holm(p: Floats) -> Floats:
    """Return p-values corrected by Holm's step-down method, in the order given; NaN is no test and stays NaN.

    Source: Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Statistics 6 (1979).
    """
    corrected = np.full(p.shape, np.nan)
    tested = np.flatnonzero(np.isfinite(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(factors * p[order]), 1.0)
    return corrected


def separated(values: Floats, reference: int) -> npt.NDArray[np.bool_]:
    """Return which rows a paired t test separates from the row `reference`, Holm-corrected over the other rows."""
    others = np.array([row for row in range(len(values)) if row != reference], dtype=np.intp)
    p = np.full(len(values), np.nan)
    p[others] = _paired_p(values, others, np.full(len(others), reference, dtype=np.intp))
    return np.asarray(holm(p) < LEVEL)


def ranks(values: Floats) -> list[int | None]:
    """Return the rank of each row; None for a row without a number.

    Rows are taken best mean first. A row has the rank of the first row of its group; a new group begins, with the
    row's place as its rank, where a paired t test separates the row from that first row. The tests are Holm-corrected
    over all pairs of rows, so the chance of even one wrong separation in a table of equals is at most 5 %.
    """
    means = [None if one is None else one.mean for one in estimates(values)]
    order = sorted((row for row, mean in enumerate(means) if mean is not None), key=lambda row: -(means[row] or 0.0))
    above, below = np.triu_indices(len(order), k=1)
    lines = np.array(order, dtype=np.intp)
    apart = holm(_paired_p(values, lines[above], lines[below])) < LEVEL
    # Over the runs that both have, the upper row must be the better one too.
    gaps = values[lines[above[apart]]] - values[lines[below[apart]]]
    better = np.where(np.isfinite(gaps), gaps, 0.0).sum(axis=1) > 0
    pairs = set(zip(above[apart][better].tolist(), below[apart][better].tolist(), strict=True))
    result: list[int | None] = [None] * len(values)
    first = 0
    for place, row in enumerate(order):
        if (first, place) in pairs:
            first = place
        result[row] = first + 1
    return result


def _paired_p(values: Floats, first: npt.NDArray[np.intp], second: npt.NDArray[np.intp]) -> Floats:
    """Return two-sided p-values of paired t tests between rows `first` and `second`; NaN with fewer than two runs.

    Differences that are the same in every run have no spread to test against, and are not separated (p = 1).
    """
    p = np.full(len(first), np.nan)
    for start in range(0, len(first), _BLOCK):
        block = slice(start, start + _BLOCK)
        gaps = values[first[block]] - values[second[block]]
        known = np.isfinite(gaps)
        whole = known.all(axis=1)
        p[start + np.flatnonzero(whole)] = _one_sample_p(gaps[whole])
        # Rows that miss runs are tested over those they have; each pattern of runs is one vectorised test.
        partial = np.flatnonzero(~whole)
        patterns, pattern = np.unique(known[partial], axis=0, return_inverse=True)
        for number, runs in enumerate(patterns):
            pairs = partial[pattern.reshape(-1) == number]
            p[start + pairs] = _one_sample_p(gaps[pairs][:, runs])
    return p


def _one_sample_p(gaps: Floats) -> Floats:
    from scipy import stats

    if gaps.shape[1] < 2:
        return np.full(len(gaps), np.nan)
    p = np.ones(len(gaps))
    varied = np.ptp(gaps, axis=1) > _CONSTANT
    if varied.any():
        p[varied] = stats.ttest_1samp(gaps[varied], 0.0, axis=1).pvalue
    return p


def pooled(parts: list[Floats]) -> Floats:
    """Return the mean of matrices of one shape, NaN wherever one of them is: no imputation."""
    return np.asarray(np.mean(np.stack(parts), axis=0))


def tied(places: list[int | None]) -> list[bool]:
    """Return which places are shared."""
    counts = {place: len(list(same)) for place, same in itertools.groupby(sorted(p for p in places if p is not None))}
    return [place is not None and counts[place] > 1 for place in places]
