"""Standard errors of effects: from the variances of the rows' differences, and wider where effects vary more than these.

An effect is a weighted mean of rows, so the model of the table has its variance. But a technique may do better with some
seeds than with others in all of its combinations alike, and then effects vary more between seeds than their rows say.
The ratio of both variances, pooled over the effects of a table, widens all of their intervals where it is above one: a
factor of overdispersion (McCullagh and Nelder, Generalized Linear Models, 2nd ed. 1989, section 4.5).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

from ltbench.leaderboard.statistics.estimates import CONSTANT
from ltbench.leaderboard.statistics.pair_variances import PairVariances

if TYPE_CHECKING:
    from ltbench.leaderboard.statistics.estimates import Floats


class EffectSeries(msgspec.Struct, frozen=True, kw_only=True):
    """An effect, and its differences run by run; fractions."""

    by_run: Floats
    """float [runs]: means over the contexts of a run."""
    contexts: int
    cells: int
    stages: tuple[str, ...]
    variance: float | None
    """Of one run by the model of the rows; None where it has none."""
    df: float
    bound: bool = False
    """Whether the variance is an upper bound, as some kind of its pairs has too few degrees of freedom of its own."""
    of_rows: bool = False
    """Whether the variance is that of the rows around a model of few effects, which one run has as well."""

    @property
    def mean(self) -> float:
        """The effect: the mean over runs."""
        return float(self.by_run.mean())

    @property
    def n(self) -> int:
        """Pairs of seeds."""
        return len(self.by_run)

    @property
    def own_variance(self) -> float:
        """The variance of its differences between runs."""
        return float(self.by_run.var(ddof=1))


class Error(NamedTuple):
    """A standard error with its degrees of freedom."""

    size: float
    df: float


def effect_errors(series: Sequence[EffectSeries | None], *, alone: bool) -> list[Error | None]:
    """Return the standard error of each effect; None where nothing varies, or one run has no variance of its own.

    alone: whether each effect has the variance of its own differences, as pairs of rows have with many runs.
    """
    tested = [one for one in series if one is not None and (one.n > 1 or (one.of_rows and one.variance is not None))]
    if alone and not any(one.of_rows for one in tested):
        found = {id(one): Error((one.own_variance / one.n) ** 0.5, one.n - 1.0) for one in tested}
    else:
        known = [one for one in tested if one.variance is not None and one.variance > CONSTANT**2]
        factor, df = _overdispersion(known)
        # Without a variance of the model an effect has that of its own differences.
        found = {
            id(one): Error((one.own_variance / one.n) ** 0.5, one.n - 1.0) for one in tested if one.variance is None
        }
        found |= {
            id(one): Error((factor * (one.variance or 0.0) / one.n) ** 0.5, df if factor > 1 else one.df)
            for one in known
        }
    errors = [found.get(id(one)) for one in series]
    return [None if error is None or error.size <= CONSTANT else error for error in errors]


def _overdispersion(series: Sequence[EffectSeries]) -> tuple[float, float]:
    """Return by how much effects vary more than the model of the rows says, at least 1, and its degrees of freedom.

    These count one effect for each set of stages: alternatives of one stage are all compared with its baseline.
    """
    # An effect may well vary less than an upper bound, which says nothing of the others.
    series = [one for one in series if one.n > 1 and not one.bound]
    freedom = sum(one.n - 1 for one in series)
    if not freedom:
        return 1.0, 0.0
    ratio = sum((one.n - 1) * one.own_variance / (one.variance or 1.0) for one in series) / freedom
    df = sum(max(one.n - 1 for one in series if one.stages == stages) for stages in {one.stages for one in series})
    return max(1.0, ratio), float(df)


class ContrastVariance(NamedTuple):
    """The variance of a contrast of rows in one run."""

    size: float | None
    """None where it cannot be estimated."""
    df: float
    """Satterthwaite's degrees of freedom."""
    bound: bool
    """`EffectSeries.bound`."""


def variance_of(weights: Floats, variances: PairVariances) -> ContrastVariance:
    """Return the variance of a contrast of rows by the variances of pairs.

    weights: float [rows], adding up to zero: the variance is -1/2 sum c_i c_j V_ij. Of a kind that borrows its variance
    it is known only that it is between zero and that: the end that makes the sum larger is taken.
    """
    used = np.flatnonzero(weights)
    here = np.ix_(used, used)
    share = -0.5 * np.outer(weights[used], weights[used])
    np.fill_diagonal(share, 0.0)
    amounts = np.bincount(variances.kinds[here].ravel(), weights=share.ravel())
    kinds = np.flatnonzero(np.abs(amounts) >= CONSTANT).tolist()
    bound = any(kind in variances.borrowed for kind in kinds)
    if not kinds or any(kind not in variances.of_kind for kind in kinds):
        return ContrastVariance(None, 0.0, bound)
    kinds = [kind for kind in kinds if amounts[kind] > 0 or kind not in variances.borrowed]
    # What is borrowed is one estimate with that of kind 0, so it adds no degrees of freedom.
    found: dict[int, tuple[float, float]] = {}
    for kind in kinds:
        (size, df), source = variances.of_kind[kind], 0 if kind in variances.borrowed else kind
        found[source] = found.get(source, (0.0, df))[0] + float(amounts[kind]) * size, df
    parts = [part for part in found.values() if part[0]]
    total, df = _satterthwaite(parts)
    if df < min((freedom for _, freedom in parts), default=0.0):
        # Parts that are subtracted nearly cancel the others, which leaves no degrees of freedom: without them it is too large.
        total, df = _satterthwaite([part for part in parts if part[0] > 0])
    return ContrastVariance(total, df, bound) if total > 0 else ContrastVariance(None, 0.0, bound)


def _satterthwaite(parts: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return the sum of variances, and its degrees of freedom. parts: variance and degrees of freedom of each."""
    total, spread = sum(variance for variance, _ in parts), sum(variance**2 / df for variance, df in parts)
    return total, total**2 / spread if spread > 0 else 0.0
