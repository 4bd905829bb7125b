"""Shares of the variance of a single run: combination, subset seed, training seed, rest.

The components are those of an additive model, estimated from the mean squares of a balanced analysis of variance
(Searle, Casella and McCulloch, Variance Components, 1992, ch. 4): (MS of a source - MS of the rest) / observations of
each of its levels, and none below zero. In a balanced layout sums of squares of type I, II and III are the same and are
those of the means of the levels. statsmodels' `anova_lm` gives the same ones (a test holds that), but takes a second to
import and, because it fits a column for every combination, six for 500 of them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from ltbench.leaderboard.statistics.score_array import ScoreArray

if TYPE_CHECKING:
    from ltbench.leaderboard.statistics.estimates import Floats

FEWEST = 3
"""Fewest levels of a source: two leave a single degree of freedom."""
COMBINATION, SUBSET, SEED, BOTH, REST = (
    "combination", "subset seed", "training seed", "pair of seeds", "rest",
)  # fmt: skip


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """One source of variance."""

    source: str
    levels: int
    """For the rest: degrees of freedom."""
    sd: float
    """Square root of the component, in units of the score."""
    share: float
    """Share of the sum of all components."""


class Variance(msgspec.Struct, frozen=True, kw_only=True):
    """The sources at one imbalance factor; `factor` is None for the mean over all."""

    factor: float | None
    shares: list[Share]
    """Empty if the design is too small."""
    why: str = ""
    """Why nothing can be estimated."""
    rows: int = 0
    """Combinations with every run; only these count."""


def variances(scores: ScoreArray) -> list[Variance]:
    """Return the sources of variance of a board, at each factor and, if there are several, over all."""
    return [_variance(scores, factor) for factor in scores.places]


def sd_interval(levels: int) -> tuple[float, float]:
    """Return the 95 % interval of an SD from so many independent levels, as multiples of the estimated SD."""
    from scipy import stats

    df = levels - 1
    low, high = stats.chi2.ppf([0.975, 0.025], df)
    return math.sqrt(df / low), math.sqrt(df / high)


def _variance(scores: ScoreArray, factor: float | None) -> Variance:
    values = scores.at(factor)
    whole = values[np.isfinite(values).all(axis=1)]
    rows = len(whole)
    if rows < 2 or len(scores.runs) < FEWEST:
        why = f"it takes at least {FEWEST} pairs of seeds and two combinations that were run with all of them"
        return Variance(factor=factor, shares=[], why=why, rows=rows)
    names, layout = _layout(whole, scores)
    return Variance(factor=factor, shares=_shares(names, layout), rows=rows)


def _layout(values: Floats, scores: ScoreArray) -> tuple[list[str], Floats]:
    """Return the sources, and the values with an axis for each. values: float [combinations, runs], none missing."""
    subsets, seeds = (sorted({run[i] for run in scores.runs}) for i in (0, 1))
    if len(subsets) == 1:
        return [COMBINATION, SEED], values
    if len(seeds) == 1:
        return [COMBINATION, SUBSET], values
    if len(scores.runs) == len(subsets) * len(seeds) and min(len(subsets), len(seeds)) >= FEWEST:
        # Runs are sorted by subset, then by training seed.
        return [COMBINATION, SUBSET, SEED], values.reshape(len(values), len(subsets), len(seeds))
    return [COMBINATION, BOTH], values


def _shares(names: list[str], values: Floats) -> list[Share]:
    center = values.mean()
    squares, freedom = [], []
    for axis, levels in enumerate(values.shape):
        means = values.mean(axis=tuple(other for other in range(values.ndim) if other != axis))
        squares.append(float(((means - center) ** 2).sum()) * values.size / levels)
        freedom.append(levels - 1)
    df_rest = values.size - 1 - sum(freedom)
    rest = max(0.0, float(((values - center) ** 2).sum()) - sum(squares)) / df_rest
    parts = [
        max(0.0, (square / df - rest) * levels / values.size)
        for square, df, levels in zip(squares, freedom, values.shape, strict=True)
    ]
    total = sum(parts) + rest
    return [
        Share(source=name, levels=levels, sd=math.sqrt(part), share=part / total if total else 0.0)
        for name, levels, part in zip([*names, REST], [*values.shape, df_rest], [*parts, rest], strict=True)
    ]
