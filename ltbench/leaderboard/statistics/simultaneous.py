"""Critical values and p-values for all pairs of rows at once: Tukey's studentised range, and Bonferroni's bound.

Source: Tukey, "The problem of multiple comparisons" (1953), in his Collected Works VIII; the distribution is that of
`scipy.stats.studentized_range`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from ltbench.leaderboard.statistics.tests_and_intervals import LEVEL

if TYPE_CHECKING:
    from scipy.interpolate import PchipInterpolator

    from ltbench.leaderboard.statistics.tests_and_intervals import Floats

_LEAST = 1e-10
"""P-values below it are not told apart: scipy integrates to about this accuracy."""


@cache
def range_quantile(rows: int, df: float) -> float:
    """Return the 95 % quantile of a difference of two of `rows` means in standard errors of the difference.

    That of the studentised range is in standard errors of a mean, so it is divided by the root of two.
    """
    from scipy import stats

    with _without_warnings():
        return float(stats.studentized_range.ppf(1 - LEVEL, rows, df)) / 2**0.5


def range_p(t: Floats, rows: int, df: float) -> Floats:
    """Return p-values of differences between `rows` means. t: differences in their standard errors, any shape.

    They are interpolated between values of scipy, which takes five milliseconds for each, to about three digits.
    """
    size = np.abs(t)
    p = np.exp(_log_p(rows, df)(np.log(np.clip(size, 1e-3, 1e4))))
    return np.clip(np.where(size < 1e-3, 1.0, p), _LEAST, 1.0)


@cache
def _log_p(rows: int, df: float) -> PchipInterpolator:
    from scipy import interpolate, stats

    # From where everything is likely to where nothing is, in even steps of the logarithm, dense around the quantile.
    middle = np.log(range_quantile(rows, df))
    ends = np.array([np.log(1e-3), np.log(1e4)])
    at = np.unique(
        np.concatenate([ends, np.linspace(middle - 6, middle - 1, 20), np.linspace(middle - 1, middle + 2, 31)])
    )
    with _without_warnings():
        p = np.array([stats.studentized_range.sf(np.exp(x) * 2**0.5, rows, df) for x in at])
    # Far out the integration returns noise instead of smaller and smaller numbers.
    return interpolate.PchipInterpolator(at, np.log(np.minimum.accumulate(np.clip(p, _LEAST, 1.0))))


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Leave out what the integration says of its last digits in the far tails, which tables do not show."""
    from scipy import integrate

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", integrate.IntegrationWarning)
        yield


def bonferroni_quantile(df: Floats, tests: int) -> Floats:
    """Return the two-sided quantile of Student's t at `LEVEL` over so many tests."""
    from scipy import stats

    return np.asarray(stats.t.ppf(1 - LEVEL / 2 / max(1, tests), df))


def bonferroni_p(t: Floats, df: Floats, tests: int) -> Floats:
    """Return two-sided p-values of Student's t, times the number of tests."""
    from scipy import stats

    return np.asarray(np.clip(2 * stats.t.sf(np.abs(t), df) * tests, _LEAST, 1.0))
