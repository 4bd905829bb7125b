"""Compare all rows of a table at once: differences, simultaneous 95 % intervals, p-values, and ranges of ranks.

Every mark of a leaderboard is read from these intervals, so no two marks contradict each other: a difference is
significant where its interval leaves out zero. All intervals of a table hold together in 95 % of tables. How the
variance of a difference is estimated is decided by the design, not by a test of the data (`pair_variances`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np

from ltbench.leaderboard.statistics.additive_model import AdditiveModel, comparable, fit
from ltbench.leaderboard.statistics.estimates import CONSTANT, LEVEL, Estimate, estimates, t_quantile
from ltbench.leaderboard.statistics.pair_variances import PairVariances, pair_variances
from ltbench.leaderboard.statistics.row_design import RowDesign
from ltbench.leaderboard.statistics.score_scale import Scale
from ltbench.leaderboard.statistics.simultaneous import (
    bonferroni_p,
    bonferroni_quantile,
    range_p,
    range_quantile,
    range_quantiles,
)

if TYPE_CHECKING:
    import numpy.typing as npt

    from ltbench.leaderboard.statistics.estimates import Floats

    Flags = npt.NDArray[np.bool_]

Form = Literal["pooled", "by kind", "each pair", "none"]


class Comparisons(msgspec.Struct, frozen=True, kw_only=True):
    """All differences of a table. Matrices are [rows, rows], NaN for pairs that cannot be compared."""

    means: Floats
    """float [rows]: adjusted for the runs that a row lacks; NaN for a row without a number."""
    gaps: Floats
    """Row of the first index minus that of the second."""
    low: Floats
    high: Floats
    """Ends of simultaneous 95 % intervals of `gaps`; NaN where nothing can be tested."""
    p: Floats
    """P-values of the differences, corrected for all pairs."""
    significant: Flags
    """Whether the interval of a difference leaves out zero."""
    error: Floats
    """Standard errors of `gaps`."""
    sd: Floats
    """Standard deviation of the difference in a single run."""
    df: Floats
    """Degrees of freedom of that standard deviation."""
    runs: npt.NDArray[np.intp]
    """Runs in common; of rows that share none, the fewer runs of the two."""
    sign: int
    """1 where high scores are good, -1 where low ones are."""
    variances: PairVariances
    model: AdditiveModel
    scale: Scale
    places: list[int | None]
    """Best rank that a row may have: one plus the rows that are significantly better."""
    last_places: list[int | None]
    """Worst rank that it may have."""

    @property
    def best(self) -> int | None:
        """Index of the row with the best mean; None if no row has a number."""
        known = np.flatnonzero(np.isfinite(self.means))
        return int(known[np.argmax(self.sign * self.means[known])]) if len(known) else None

    def difference(self, first: int, second: int | None) -> Estimate | None:
        """Return the difference of two rows with its simultaneous interval; None where they cannot be compared."""
        if second is None or first == second or not np.isfinite(self.gaps[first, second]):
            return None
        gap, low, high = (float(part[first, second]) for part in (self.gaps, self.low, self.high))
        runs, sd = int(self.runs[first, second]), float(self.sd[first, second])
        if not np.isfinite(low):
            return Estimate(gap, 0.0 if sd <= CONSTANT else None, None, runs)
        if not self.variances.tested[first, second] or self.variances.welch[first, second]:
            # It follows from differences to other rows alone, or its runs are not paired.
            return between_ends(gap, low, high, runs)
        return between_ends(gap, low, high, runs, sd, float(self.df[first, second]))

    def p_of(self, first: int, second: int | None) -> float | None:
        """Return the p-value of the difference of two rows; None where it is not tested."""
        found = np.nan if second is None else self.p[first, second]
        return float(found) if np.isfinite(found) else None

    def level_of(self, first: int, second: int) -> float:
        """Return the level of a t test of two rows alone that is as strict as the one in the table."""
        from scipy import stats

        if self.variances.each_own[first, second]:
            return LEVEL / max(1, self.pairs)
        df = float(self.df[first, second])
        return float(2 * stats.t.sf(range_quantile(int(np.isfinite(self.means).sum()), df), df))

    @property
    def pairs(self) -> int:
        """Pairs of rows that were tested."""
        return int(np.isfinite(self.p[np.triu_indices(len(self.p), 1)]).sum())

    @property
    def form(self) -> Form:
        """How the variance of differences was estimated; "none" where nothing was tested."""
        return self.variances.form if self.pairs else "none"


def compare_rows(
    values: Floats, design: RowDesign | None = None, sign: int = 1, *, fractions: bool = True
) -> Comparisons:
    """Compare all pairs of rows.

    values: float [rows, runs], NaN where missing; design: how they were run, by default all runs in common and no
    training; sign: 1 where high is good, -1 where low is; fractions: whether values are shares of 1, and not in a unit of their own.
    """
    rows, runs = values.shape
    design = RowDesign.paired(rows, runs) if design is None else design
    scale = Scale.of(values) if fractions else Scale()
    scores = scale.forth(values)
    raw = fit(values, design.blocks)
    model = fit(scores, design.blocks) if scale.arcsine else raw
    variances = pair_variances(scores, design, model)
    gaps, scaled, order = _between(raw.means), _between(model.means), _between(raw.means)
    together = comparable(raw.parts)
    own = variances.own_gaps & together
    gaps[own], scaled[own] = variances.mean_gaps(values)[own], variances.mean_gaps(scores)[own]
    unpaired = variances.welch
    gaps[unpaired], scaled[unpaired] = (_between(_raw_means(part))[unpaired] for part in (values, scores))
    gaps[~(together | unpaired)] = np.nan
    tested, count = variances.tested, int(np.isfinite(raw.means).sum())
    by_range, alone = tested & ~variances.each_own, tested & variances.each_own
    half = half_widths(variances.error, variances.df, by_range=by_range, alone=alone, rows=count)
    p = _p_values(np.abs(scaled), variances.error, variances.df, by_range=by_range, alone=alone, rows=count)
    slope = scale.slope(gaps, scaled, raw.means)
    half, error, sd = half * slope, variances.error * slope, np.sqrt(variances.variance) * slope
    against = (gaps * order < 0) | (gaps * scaled < 0)
    low, high = gaps - half, gaps + half
    low[against], high[against] = np.minimum(low, 0)[against], np.maximum(high, 0)[against]
    gaps, low, high, p = consistent(gaps, low, high, p, order)
    # The p-value is interpolated, the interval is not.
    significant = (low > 0) | (high < 0)
    p = np.where(significant, np.minimum(p, np.nextafter(LEVEL, 0)), np.maximum(p, LEVEL))
    np.fill_diagonal(gaps, np.nan)
    places, last = rank_ranges(raw.means, (low if sign > 0 else -high) > 0)
    return Comparisons(
        means=raw.means, gaps=gaps, low=low, high=high, p=p, significant=significant, error=error, sd=sd, df=variances.df, runs=variances.runs, sign=sign,
        variances=variances, model=model, scale=scale, places=places, last_places=last,
    )  # fmt: skip


def between_ends(
    gap: float, low: float, high: float, runs: int, sd: float | None = None, df: float | None = None
) -> Estimate:
    """Return a difference with the ends of its interval."""
    # An end at zero stays there, whatever mean and half round to.
    ends = None if abs(low + high - 2 * gap) <= CONSTANT and low and high else (low, high)
    return Estimate(gap, sd, (high - low) / 2, runs, df, ends)


def mean_estimates(values: Floats, found: Comparisons) -> list[Estimate | None]:
    """Return the mean of each row over its runs, with a 95 % interval for new seeds; None for a row without a number.

    values: float [rows, runs]. The standard deviation is pooled over rows where that of differences is: between runs of
    a row it is that of blocks and of the rest.
    """
    alone = estimates(values)
    if found.form not in ("pooled", "by kind"):
        return alone
    scores = found.scale.forth(values)
    spreads = [one.sd**2 for one in estimates(scores) if one is not None and one.sd is not None]
    between = np.isfinite(found.p) & (found.variances.kinds == 0) & ~found.variances.welch
    if not spreads or not between.any():
        return alone
    rows, runs = len(spreads), int(np.isfinite(values).any(axis=0).sum())
    total = sum(spreads) / rows
    rest = min(float(found.variances.variance[between][0]) / 2 * (rows - 1) / rows, total)
    if total <= CONSTANT**2:
        return alone
    # Each part with the quantile of its own degrees of freedom: with three blocks one for the sum would be too narrow.
    wide = (total - rest) * t_quantile(runs - 1) ** 2 + rest * t_quantile(float(found.df[between][0])) ** 2
    result: list[Estimate | None] = []
    for one in alone:
        if one is None:
            result.append(None)
            continue
        middle = min(max(one.mean, 0.0), 1.0)
        slope = 2 * (middle * (1 - middle)) ** 0.5 if found.scale.arcsine else 1.0
        result.append(Estimate(one.mean, one.sd, (wide / one.n) ** 0.5 * slope, one.n))
    return result


def _between(means: Floats) -> Floats:
    """Return the differences of all pairs of rows."""
    return np.asarray(means[:, None] - means[None])


def _raw_means(values: Floats) -> Floats:
    known = np.isfinite(values)
    counts = known.sum(axis=1)
    sums = np.where(known, values, 0.0).sum(axis=1)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def half_widths(error: Floats, df: Floats, *, by_range: Flags, alone: Flags, rows: int) -> Floats:
    """Return half the width of the interval of each difference; NaN without a test.

    Matrices are [rows, rows]. error: of differences; by_range, alone: those that are tested by the studentised range of
    so many rows, and those with a variance of their own, by Bonferroni's bound over all tests.
    """
    half = np.full(error.shape, np.nan)
    half[by_range] = range_quantiles(rows, df[by_range]) * error[by_range]
    half[alone] = bonferroni_quantile(df[alone], _tests(by_range, alone)) * error[alone]
    return half


def _p_values(size: Floats, error: Floats, df: Floats, *, by_range: Flags, alone: Flags, rows: int) -> Floats:
    """Return the p-value of each difference; parameters as for `half_widths`, size: of the differences."""
    p = np.full(size.shape, np.nan)
    for freedom in np.unique(df[by_range]).tolist():
        here = by_range & (df == freedom)
        p[here] = range_p(size[here] / error[here], rows, freedom)
    p[alone] = bonferroni_p(size[alone] / error[alone], df[alone], _tests(by_range, alone))
    return p


def _tests(by_range: Flags, alone: Flags) -> int:
    return int((by_range | alone).sum()) // 2


def rank_ranges(means: Floats, better: Flags) -> tuple[list[int | None], list[int | None]]:
    """Return the best and the worst rank that each row may have; None for a row without a number.

    better: bool [rows, rows], whether the first row is significantly better than the second.
    """
    known = np.isfinite(means)
    count = int(known.sum())
    places = [int(better[:, row].sum()) + 1 if there else None for row, there in enumerate(known)]
    last = [count - int(better[row].sum()) if there else None for row, there in enumerate(known)]
    return places, last


def consistent(
    gaps: Floats, low: Floats, high: Floats, p: Floats, order: Floats
) -> tuple[Floats, Floats, Floats, Floats]:
    """Return differences, intervals and p-values that agree with one another.

    All intervals hold together in 95 % of tables, and so does what follows from them: if a is better than b and b than c,
    a is better than c, however wide its own interval is. Runs that contradict the order of the means of a table with
    missing cells decide nothing. order: differences of the means that rows are ordered by.
    """
    low, high = np.where(order <= 0, np.minimum(low, 0), low), np.where(order >= 0, np.maximum(high, 0), high)
    p = np.where(np.isfinite(p) & (low <= 0) & (high >= 0), np.maximum(p, LEVEL), p)
    better = (low > 0).astype(np.float32)
    if not ((better @ better > 0) & ~(low > 0)).any():
        # Nothing follows that is not there: the rule in most tables, and the loop below is slow with many rows.
        return gaps, low, high, p
    bound, chain = np.where(low > 0, low, 0.0), np.where(low > 0, p, np.inf)
    for middle in range(len(low)):
        if (bound[middle] > 0).any() and (bound[:, middle] > 0).any():
            # The weaker of two bounds, as their sum may contradict a difference that was estimated from other runs.
            bound = np.maximum(bound, np.minimum(bound[:, [middle]], bound[[middle]]))
            chain = np.minimum(chain, np.maximum(chain[:, [middle]], chain[[middle]]))
    new = (bound > 0) & ~(low > 0)
    gaps, low, high, p = gaps.copy(), low.copy(), high.copy(), p.copy()
    gaps[new] = np.where(gaps > 0, gaps, order)[new]
    low[new] = np.minimum(bound, gaps)[new]
    high[new] = np.maximum(np.where(np.isfinite(high), high, gaps), gaps)[new]
    p[new] = chain[new]
    back = new.T
    gaps[back], low[back], high[back], p[back] = -gaps.T[back], -high.T[back], -low.T[back], p.T[back]
    return gaps, low, high, p
