"""Critical values and p-values for all pairs of rows at once: Tukey's studentised range, and Bonferroni's bound.

Source: Tukey, "The problem of multiple comparisons" (1953), in his Collected Works VIII. The distribution is that of
`scipy.stats.studentized_range`, which takes five milliseconds and more for each value: a page of many tables with missing
cells, each with degrees of freedom of its own, would take minutes.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from ltbench.leaderboard.statistics.estimates import LEVEL

if TYPE_CHECKING:
    from scipy.interpolate import PchipInterpolator

    from ltbench.leaderboard.statistics.estimates import Floats

_LEAST = 1e-10
"""P-values below it are not told apart."""
_NODES = 16
"""Degrees of freedom beyond which quantiles are interpolated between so many."""


def range_tail(q: Floats, rows: int, df: float) -> Floats:
    """Return the probability that the studentised range of `rows` means exceeds q, to about 13 decimals.

    Both integrals, over the least of the means and over the logarithm of the standard deviation, are of smooth functions
    that vanish at both ends, for which sums over even steps are exact but for rounding (Trefethen and Weideman, "The
    exponentially convergent trapezoidal rule", SIAM Review 56, 2014). q: one axis.
    """
    from scipy import special

    least, step = np.linspace(-8.5, 8.5, 171, retstep=True)
    density = np.exp(-(least**2) / 2) * step / np.sqrt(2 * np.pi)
    spread = 1 / np.sqrt(2 * df)
    log_sd = np.arange(min(-9 * spread, -36 / df), np.log1p(9 * spread) + 0.2, min(0.05, 0.35 * spread))
    weight = np.exp(df * (log_sd - np.expm1(2 * log_sd) / 2))
    result = np.empty(len(q))
    for i, width in enumerate(q.tolist()):
        above = special.ndtr(least) - special.ndtr(least - (width * np.exp(log_sd))[:, None])
        result[i] = weight @ (1 - rows * (above ** (rows - 1) @ density)) / weight.sum()
    return result


@cache
def range_quantile(rows: int, df: float) -> float:
    """Return the 95 % quantile of a difference of two of `rows` means in standard errors of the difference.

    That of the studentised range is in standard errors of a mean, so it is divided by the root of two.
    """
    from scipy import optimize

    def excess(log_q: float) -> float:
        return float(range_tail(np.exp([log_q]), rows, df)[0]) - LEVEL

    # From one degree of freedom on it is between 2.7 and 180, up to a million rows.
    return float(np.exp(optimize.brentq(excess, -2, 12, xtol=1e-12))) / 2**0.5


def range_quantiles(rows: int, df: Floats) -> Floats:
    """Return `range_quantile` of each degree of freedom, any shape; of many they are interpolated, to five digits."""
    from scipy import interpolate

    known, place = np.unique(df, return_inverse=True)
    if len(known) <= _NODES:
        return np.array([range_quantile(rows, one) for one in known.tolist()])[place].reshape(df.shape)
    # In their inverse the quantile is almost a straight line.
    at = 1 / np.linspace(1 / known[-1], 1 / known[0], _NODES)
    found = np.array([range_quantile(rows, one) for one in at.tolist()])
    return np.asarray(interpolate.CubicSpline(1 / at, found)(1 / df))


def range_p(t: Floats, rows: int, df: float) -> Floats:
    """Return p-values of differences between `rows` means. t: differences in their standard errors, any shape.

    A table has many: they are interpolated, to about three digits.
    """
    size = np.abs(t)
    p = np.exp(_log_p(rows, df)(np.log(np.clip(size, 1e-3, 1e4))))
    return np.clip(np.where(size < 1e-3, 1.0, p), _LEAST, 1.0)


@cache
def _log_p(rows: int, df: float) -> PchipInterpolator:
    from scipy import interpolate

    # From where everything is likely to where nothing is, in even steps of the logarithm, dense around the quantile.
    middle = np.log(range_quantile(rows, df))
    ends = np.array([np.log(1e-3), np.log(1e4)])
    at = np.unique(
        np.concatenate([ends, np.linspace(middle - 6, middle - 1, 20), np.linspace(middle - 1, middle + 2, 31)])
    )
    p = range_tail(np.exp(at) * 2**0.5, rows, df)
    return interpolate.PchipInterpolator(at, np.log(np.clip(p, _LEAST, 1.0)))


def bonferroni_quantile(df: Floats, tests: int) -> Floats:
    """Return the two-sided quantile of Student's t at `LEVEL` over so many tests."""
    from scipy import stats

    return np.asarray(stats.t.ppf(1 - LEVEL / 2 / max(1, tests), df))


def bonferroni_p(t: Floats, df: Floats, tests: int) -> Floats:
    """Return two-sided p-values of Student's t, times the number of tests."""
    from scipy import stats

    return np.asarray(np.clip(2 * stats.t.sf(np.abs(t), df) * tests, _LEAST, 1.0))
