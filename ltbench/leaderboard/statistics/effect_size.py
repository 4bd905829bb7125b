"""How large an effect is for paired runs, and how many runs would show it."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING

from ltbench.leaderboard.statistics.estimates import CONSTANT, LEVEL, Estimate

if TYPE_CHECKING:
    from ltbench.leaderboard.statistics.estimates import Floats

POWER = 0.8
"""Power: probability of detecting a real difference; the convention since Cohen (1988)."""
MOST = 1000
"""Runs beyond which a number would say no more than `more`."""
_NODES = 400


def effect_size(difference: Estimate | None) -> float | None:
    """Return Cohen's d_z of a paired difference, corrected for few runs; None below three runs or without spread.

    d_z is the mean difference over the standard deviation of the differences (Cohen, Statistical Power Analysis,
    1988, p. 48; Lakens, Frontiers in Psychology 4:863, 2013, eq. 6). From few runs it is too large, with three by
    three quarters; the factor J(n - 1) of Hedges (J. Educational Statistics 6, 1981) takes that away. A normal
    difference of size d_z has the sign of its mean in Phi(|d_z|) of all runs: 1 means five of six.
    """
    if (
        difference is None
        or difference.sd is None
        or difference.n < 3
        or (difference.df or 2) < 2
        or difference.sd <= CONSTANT
    ):
        return None
    df = difference.n - 1 if difference.df is None else difference.df
    correction = math.exp(math.lgamma(df / 2) - math.lgamma((df - 1) / 2)) * math.sqrt(2 / df)
    return correction * difference.mean / difference.sd


def power_of(effect: float, runs: int, level: float = LEVEL, df_per_run: float = 1.0) -> float:
    """Return how often a two-sided paired t test finds an effect of `effect` standard deviations in `runs` runs.

    df_per_run: degrees of freedom of the standard deviation for each run but the first, more than 1 if it is pooled.

    The distribution of t under the alternative is integrated over that of the sample's standard deviation.
    `scipy.stats.nct` is undefined for some of the levels that a correction over many rows leads to.
    """
    import numpy as np
    from scipy import special

    df = df_per_run * (runs - 1)
    quantile = special.stdtrit(df, 1 - level / 2)
    spread, weights = _spreads(df)
    shift = abs(effect) * math.sqrt(runs)
    hits = special.ndtr(shift - quantile * spread) + special.ndtr(-shift - quantile * spread)
    return float(np.sum(weights * hits))


def runs_needed(effect: float, level: float = LEVEL, df_per_run: float = 1.0) -> int | None:
    """Return the fewest runs in which a paired t test finds the effect with `POWER`; None above `MOST`."""
    if power_of(effect, MOST, level, df_per_run) < POWER:
        return None
    # One run has no degree of freedom.
    low, high = 1, MOST
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power_of(effect, middle, level, df_per_run) >= POWER else (middle, high)
    return high


@cache
def _spreads(df: float) -> tuple[Floats, Floats]:
    """Return sample standard deviations over the true one at Gauss-Legendre nodes of their quantiles, and weights."""
    import numpy as np
    from scipy import special

    nodes, weights = _quadrature()
    return np.sqrt(special.chdtri(df, (1 - nodes) / 2) / df), weights / 2


@cache
def _quadrature() -> tuple[Floats, Floats]:
    from scipy import special

    # Of a tridiagonal matrix, where numpy's `leggauss` asks for a dense one's eigenvalues on every core.
    nodes, weights = special.roots_legendre(_NODES)
    return nodes, weights
