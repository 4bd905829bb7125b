"""Means, intervals and paired tests over seeds, by scipy.

A matrix `values` is float [rows, runs]: one row per combination, one column per pair of seeds, NaN where a cell is
missing. Runs of one column share subset, initial weights and batch order, so rows are compared within columns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING

import msgspec
import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

LEVEL = 0.05
"""Family-wise error of a table's tests, and one minus the confidence of its intervals."""
CONSTANT = 1e-12
"""Spread of differences up to which they count as constant: rounding errors of fractions are smaller."""


class Estimate(msgspec.Struct, frozen=True, omit_defaults=True):
    """A mean or a difference over n runs, with its 95 % interval; `sd` and `half` are None where there is none."""

    mean: float
    sd: float | None
    """Of a single run."""
    half: float | None
    """Half the width of the interval."""
    n: int
    df: float | None = None
    """Degrees of freedom of `sd`, where they are not n - 1."""
    ends: tuple[float, float] | None = None
    """The ends of the interval where it is not symmetric about the mean."""

    @property
    def interval(self) -> tuple[float, float] | None:
        """The ends of the interval."""
        if self.ends is not None or self.half is None:
            return self.ends
        return self.mean - self.half, self.mean + self.half


@cache
def t_quantile(df: float) -> float:
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


def estimate(values: Iterable[float]) -> Estimate | None:
    """Return the estimate of single values; None without any."""
    return estimates(np.array([list(values)], dtype=np.float64))[0]


def differences(values: Floats, reference: int) -> list[Estimate | None]:
    """Return the estimate of each row's difference to the row `reference`, over the runs that both have."""
    return estimates(values - values[reference])


def holm(p: Floats, weights: Floats | None = None) -> Floats:
    """Return p-values corrected by Holm's step-down method, in the order given; NaN, for no test, stays NaN.

    weights: of each test, above zero; a test with twice the weight of another is rejected at twice its level.
    Source: Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Statistics 6 (1979), section 5
    for weights.
    """
    corrected = np.full(p.shape, np.nan)
    tested = np.flatnonzero(np.isfinite(p))
    share = np.ones(len(tested)) if weights is None else weights[tested]
    by_evidence = np.argsort(p[tested] / share, kind="stable")
    order, share = tested[by_evidence], share[by_evidence]
    left = np.cumsum(share[::-1])[::-1]
    corrected[order] = np.minimum(np.maximum.accumulate(left / share * p[order]), 1.0)
    return corrected


def welch(first: Floats, second: Floats) -> tuple[Estimate | None, float]:
    """Return the difference of two means of independent runs, first minus second, and the p-value of Welch's test.

    Source: Welch, "The generalization of 'Student's' problem", Biometrika 34 (1947). NaN with fewer than two runs.
    """
    from scipy import stats

    one, two = first[np.isfinite(first)], second[np.isfinite(second)]
    if not len(one) or not len(two):
        return None, np.nan
    gap, n = float(one.mean() - two.mean()), min(len(one), len(two))
    if n < 2:
        return Estimate(gap, None, None, n), np.nan
    if max(np.ptp(one), np.ptp(two)) <= CONSTANT:
        return Estimate(gap, None, 0.0, n), 1.0
    test = stats.ttest_ind(one, two, equal_var=False)
    interval = test.confidence_interval(1 - LEVEL)
    return Estimate(gap, None, float(interval.high - interval.low) / 2, n), float(test.pvalue)


def zero_p(gaps: Floats) -> Floats:
    """Return the two-sided p-value of a t test of each row's mean against zero; NaN with fewer than two runs.

    Gaps that are the same in every run have no spread to test against: p = 1.
    """
    p = np.full(len(gaps), np.nan)
    known = np.isfinite(gaps)
    whole = known.all(axis=1)
    p[whole] = _one_sample_p(gaps[whole])
    # Rows with missing runs are tested over the others; each pattern of runs is one vectorised test.
    partial = np.flatnonzero(~whole)
    patterns, pattern = np.unique(known[partial], axis=0, return_inverse=True)
    for number, runs in enumerate(patterns):
        rows = partial[pattern.reshape(-1) == number]
        p[rows] = _one_sample_p(gaps[rows][:, runs])
    return p


def _one_sample_p(gaps: Floats) -> Floats:
    from scipy import stats

    if gaps.shape[1] < 2:
        return np.full(len(gaps), np.nan)
    p = np.ones(len(gaps))
    varied = np.ptp(gaps, axis=1) > CONSTANT
    if varied.any():
        p[varied] = stats.ttest_1samp(gaps[varied], 0.0, axis=1).pvalue
    return p


def pooled(parts: list[Floats]) -> Floats:
    """Return the mean of matrices of one shape, NaN wherever one of them is: no imputation."""
    return np.asarray(np.mean(np.stack(parts), axis=0))


def areas(parts: list[Floats], factors: list[float]) -> Floats:
    """Return the area under the line of a score over the logarithm of the imbalance factor, of each row and run.

    The line goes straight from factor to factor (trapezoids); the area is divided by log(highest / lowest), so it is a
    mean accuracy in which every doubling of the factor counts the same. NaN wherever one of the parts is.
    """
    from scipy import integrate

    place = np.log(factors)
    return np.asarray(integrate.trapezoid(np.stack(parts), place, axis=0) / (place[-1] - place[0]))


def tied(places: list[int | None]) -> list[bool]:
    """Return which places are shared."""
    counts = Counter(places)
    return [place is not None and counts[place] > 1 for place in places]
