"""Means over seeds with their intervals, and means over imbalance factors.

A matrix `values` is float [rows, runs]: one row per combination, one column per pair of seeds, NaN where a cell is
missing. Runs of one column share subset, initial weights and batch order, so rows are compared within columns.
"""

from __future__ import annotations

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
