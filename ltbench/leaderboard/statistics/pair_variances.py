"""The variance of the difference between two rows in a run: pooled over pairs of rows that the design makes alike.

Three forms, chosen by the design; with few runs no test of the data could choose.

- With fewer than `MANY` runs the variance is pooled. Where no two rows share a training, over all pairs: that is twice
  the residual mean square of the analysis of variance, and with the studentised range Tukey's test (Tukey-Kramer where
  cells are missing). Its family-wise error is 5 % where the variances of rows are equal; docs/reading-a-leaderboard.md
  has it for others.
- Rows that share a training, such as one with and without test-time augmentation, have differences of a smaller
  variance than other rows. These pairs are pooled apart, by what the two rows differ in, as the strata of a split-plot
  design are (Yates 1935); degrees of freedom are those of Satterthwaite (Biometrics Bulletin 2, 1946).
- A kind with too few pairs and runs for a variance of its own (`WORTH`) is tested like the pairs that share no training:
  with their variance, degrees of freedom and studentised range. Where rows have equal variances this is conservative, as
  a shared training makes two scores no less alike. Where the kind's own estimate is larger still, it takes that.
- With `MANY` runs or more each pair has a variance of its own, from its own differences. This takes no two variances for
  equal. The bound over all pairs is Bonferroni's: with variances of their own, the studentised range would be exceeded
  in 12 % of tables of 16 equal rows and ten runs, and in 37 % of tables of 64.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np

from ltbench.leaderboard.statistics.additive_model import AdditiveModel, comparable
from ltbench.leaderboard.statistics.estimates import CONSTANT
from ltbench.leaderboard.statistics.row_design import RowDesign
from ltbench.leaderboard.statistics.simultaneous import bonferroni_quantile, range_quantile

if TYPE_CHECKING:
    import numpy.typing as npt

    from ltbench.leaderboard.statistics.estimates import Floats

    Flags = npt.NDArray[np.bool_]
    Numbers = npt.NDArray[np.intp]

_LEAST = 1 - 1e-9
"""Fewest degrees of freedom: with less than one no quantile is of use."""
MANY = 10
"""Runs from which each pair of rows has a variance of its own."""
WORTH = 2.0
"""A kind has a variance of its own up to a bound of so many times that of pairs that share no training.

The bounds are quantiles: Bonferroni's for the kind's own degrees of freedom, Tukey's for those of the other pairs. Beyond
twice the quantile an own variance makes intervals narrower only if it is below a quarter of the other pairs', that is, if
two scores of one run have a correlation above 3/4. Another view of a network has that, a second stage often not.
"""


class PairVariances(msgspec.Struct, frozen=True, kw_only=True):
    """Matrices [rows, rows] about the difference of two rows on the scale of the comparison."""

    form: Literal["pooled", "by kind", "each pair"]
    variance: Floats
    """Of the difference in one run; NaN where it cannot be estimated."""
    df: Floats
    error: Floats
    """Standard error of the difference of the means."""
    runs: Numbers
    """Runs in common; of rows compared by Welch's test, the fewer runs of the two."""
    kinds: Numbers
    """`RowDesign.kinds`."""
    own_gaps: Flags
    """Whether the difference is that of the runs in common, rather than that of the model's means."""
    welch: Flags
    """Whether two rows have no block in common as they were run on other machines."""
    each_own: Flags
    """Whether the variance is not that of all pairs, so that Bonferroni's bound is due instead of Tukey's."""
    tested: Flags
    """Whether there is anything to test; not where a difference is the same in every run."""
    of_kind: dict[int, tuple[float, float]]
    """Variance and degrees of freedom of each kind of pair, as they are used; empty where each pair has its own."""
    borrowed: frozenset[int]
    """Kinds that take at least the variance of kind 0, and its degrees of freedom, as they have too few (`WORTH`)."""
    common: Floats
    """float [rows, rows]: 1 for each run in common, in sum."""
    blocks: Numbers

    def mean_gaps(self, values: Floats) -> Floats:
        """Return the mean difference of all pairs over their common blocks, NaN without any. values: [rows, runs]."""
        first, _ = _sums(values, self.blocks)
        with np.errstate(invalid="ignore", divide="ignore"):
            return first / self.common


def pair_variances(values: Floats, design: RowDesign, model: AdditiveModel) -> PairVariances:
    """Estimate the variances. values: float [rows, runs] on the scale of the comparison."""
    known = np.isfinite(values)
    common = _common(known, design.blocks)
    sums, squares = _sums(_centred(values), design.blocks)
    with np.errstate(invalid="ignore", divide="ignore"):
        squares = np.maximum(squares - sums**2 / common, 0.0)
    own_df = np.maximum(common - 1, 0.0)
    together = comparable(model.parts)
    counts = known.sum(axis=1)
    fewer = np.minimum(counts[:, None], counts[None])
    alone = ~together & (fewer > 1) & _elsewhere(design, known)
    if int(known.any(axis=0).sum()) >= MANY:
        variance = np.where(own_df > 0, squares / np.maximum(own_df, 1), np.nan)
        df, own_gaps = own_df, common > 0
        with np.errstate(invalid="ignore", divide="ignore"):
            error = np.sqrt(variance / common)
        form: Literal["pooled", "by kind", "each pair"] = "each pair"
        of_kind: dict[int, tuple[float, float]] = {}
        borrowed: frozenset[int] = frozenset()
        each = together.copy()
    else:
        of_kind, borrowed = _pooled(squares, own_df, design.kinds, model, together, pairs=_pairs(together | alone))
        variance, df = _of_pairs(of_kind, design.kinds, together)
        quadratic = np.diag(model.inverse)[:, None] + np.diag(model.inverse)[None] - 2 * model.inverse
        own_gaps = (design.kinds > 0) & (common > 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            error = np.sqrt(variance * np.where(own_gaps, 1 / common, quadratic / 2))
        used = design.kinds[np.ix_(counts > 0, counts > 0)]
        form = "by kind" if bool((used > 0).any()) else "pooled"
        each = _has_own(design.kinds, borrowed) & together
    variance, df, error = _welch(values, alone, variance, df, np.where(together, error, np.nan))
    runs = np.where(alone, fewer, common).astype(np.intp)
    with np.errstate(invalid="ignore"):
        tested = np.isfinite(error) & (variance > CONSTANT**2) & (df > 0) & ~np.eye(len(values), dtype=bool)
    return PairVariances(
        form=form, variance=variance, df=df, error=error, runs=runs, kinds=design.kinds, own_gaps=own_gaps, welch=alone,
        each_own=each | alone, tested=tested, of_kind=of_kind, borrowed=borrowed, common=common, blocks=design.blocks,
    )  # fmt: skip


def _common(known: Flags, blocks: Numbers) -> Floats:
    """Return the number of blocks in common of all pairs of rows."""
    return np.asarray(sum(cells.T @ cells for cells in _cells(known.astype(np.float64), known, blocks)))


def _centred(values: Floats) -> Floats:
    """Return values without the means of rows and runs, which change no variance of a difference but cost digits."""
    for axis in (1, 0):
        known = np.isfinite(values)
        sums = np.where(known, values, 0.0).sum(axis=axis, keepdims=True)
        values = values - sums / np.maximum(known.sum(axis=axis, keepdims=True), 1)
    return values


def _sums(values: Floats, blocks: Numbers) -> tuple[Floats, Floats]:
    """Return the sums of differences and of squared differences of all pairs over their common blocks."""
    known = np.isfinite(values)
    filled = np.where(known, values, 0.0)
    first, square = np.zeros((len(values),) * 2), np.zeros((len(values),) * 2)
    for there, score in zip(
        _cells(known.astype(np.float64), known, blocks), _cells(filled, known, blocks), strict=True
    ):
        product = score.T @ there
        first += product - product.T
        squared = (score**2).T @ there
        square += squared + squared.T - 2 * score.T @ score
    return first, square


def _cells(entries: Floats, known: Flags, blocks: Numbers) -> list[Floats]:
    """Return for each run float [blocks of the run, rows]: the entry of each row in its block, else 0."""
    result = []
    for run in range(entries.shape[1]):
        found = np.unique(blocks[known[:, run], run])
        result.append((blocks[:, run][None] == found[:, None]) * (entries[:, run] * known[:, run])[None])
    return result


def _pairs(among: Flags) -> int:
    """Return the number of pairs of different rows. among: symmetric, [rows, rows]."""
    return int(np.triu(among, 1).sum())


def _has_own(kinds: Numbers, borrowed: frozenset[int]) -> Flags:
    """Return whether two rows share a training, and their kind has a variance of its own."""
    own = np.arange(int(kinds.max(initial=0)) + 1) > 0
    own[list(borrowed)] = False
    return np.asarray(own[kinds])


def _of_pairs(of_kind: dict[int, tuple[float, float]], kinds: Numbers, together: Flags) -> tuple[Floats, Floats]:
    """Return variance and degrees of freedom of all pairs, NaN and 0 where there are none."""
    table = np.tile([[np.nan], [0.0]], int(kinds.max(initial=0)) + 1)
    for kind, found in of_kind.items():
        table[:, kind] = found
    pairs = together & ~np.eye(len(kinds), dtype=bool)
    return np.where(pairs, table[0][kinds], np.nan), np.where(pairs, table[1][kinds], 0.0)


def _pooled(
    squares: Floats, own_df: Floats, kinds: Numbers, model: AdditiveModel, together: Flags, pairs: int
) -> tuple[dict[int, tuple[float, float]], frozenset[int]]:
    """Return variance and degrees of freedom of each kind of pair, and the kinds that have them from kind 0.

    pairs: number of pairs of rows that are compared.
    """
    of_kind: dict[int, tuple[float, float]] = {}
    here = together & ~np.eye(len(squares), dtype=bool)
    if model.df > 0 and not kinds[here].any():
        # Where every pair has one variance, the residuals tell more of it than pairs do that lack runs in common.
        return {0: (2 * model.square, float(model.df))}, frozenset()
    apart, shares = here & (kinds == 0), here & (kinds > 0)
    if apart.any():
        total, freedom = own_df[apart].sum(), _freedom_apart(apart, kinds, model)
        if total > 0 and freedom >= _LEAST:
            of_kind[0] = float(squares[apart & (own_df > 0)].sum() / total), freedom
    of_kind |= _together(squares, own_df, kinds, shares)
    rows = int((model.parts >= 0).sum())
    loans = _loans(of_kind, np.unique(kinds[shares]).tolist(), rows, pairs) if 0 in of_kind else {}
    return of_kind | loans, frozenset(loans)


def _loans(
    of_kind: dict[int, tuple[float, float]], kinds: list[int], rows: int, pairs: int
) -> dict[int, tuple[float, float]]:
    """Return variance and degrees of freedom of those of `kinds` that take them from kind 0, by the design alone.

    of_kind: own ones; rows, pairs: how many are compared.
    """
    variance, freedom = of_kind[0]
    most = WORTH * range_quantile(rows, freedom)
    own_df = {df for kind, (_, df) in of_kind.items() if kind}
    few = {0.0, *(df for df in own_df if float(bonferroni_quantile(np.array(df), pairs)) > most)}
    found = {}
    for kind in kinds:
        own, df = of_kind.get(kind, (variance, 0.0))
        # What is the same in every run is no estimate of a variance: there is nothing to test.
        if df in few and own > CONSTANT**2:
            found[kind] = max(variance, own), freedom
    return found


def _freedom_apart(here: Flags, kinds: Numbers, model: AdditiveModel) -> float:
    """Return the degrees of freedom of the variance over pairs that share no training.

    The sum over pairs is a quadratic form tr(L W) of the residuals' Wishart matrix W, L the Laplacian of the graph of
    pairs: Satterthwaite's degrees of freedom are tr(L S)^2 / tr(L S L S) times those of W. S takes rows that share a
    training for one: a second view of a network is no second network. Without such rows it is (rows - 1)(runs - 1).
    """
    rows = here.any(axis=1)
    many = int(rows.sum())
    graph = here[np.ix_(rows, rows)].astype(np.float64)
    laplacian = np.diag(graph.sum(axis=1)) - graph
    shared = (kinds[np.ix_(rows, rows)] > 0).astype(np.float64) + np.eye(many)
    product = laplacian @ shared
    counted = int((model.parts >= 0).sum())
    return float(model.df / (counted - 1) * np.trace(product) ** 2 / (product * product.T).sum())


def _together(squares: Floats, own_df: Floats, kinds: Numbers, pairs: Flags) -> dict[int, tuple[float, float]]:
    """Return variance and degrees of freedom of each kind of pairs that share a training.

    The degrees of freedom are those of one pair of each group of rows with a common training.
    """
    from scipy.sparse import csgraph

    first, second = np.nonzero(np.triu(pairs))
    if not len(first):
        return {}
    groups, group = csgraph.connected_components(kinds > 0, directed=False)
    kind, freedom = kinds[first, second], own_df[first, second]
    total = np.bincount(kind, freedom)
    square = np.bincount(kind, np.where(freedom > 0, np.nan_to_num(squares[first, second]), 0.0))
    # With a thousand rows of one training there are a hundred thousand kinds: no loop over them here.
    cells, cell = np.unique(kind.astype(np.int64) * groups + group[first], return_inverse=True)
    most = np.zeros(len(cells))
    np.maximum.at(most, cell, freedom)
    df = np.bincount(cells // groups, most, minlength=len(total))
    known = np.flatnonzero((total > 0) & (df >= _LEAST)).tolist()
    return {number: (float(square[number] / total[number]), float(df[number])) for number in known}


def _elsewhere(design: RowDesign, known: Flags) -> Flags:
    """Return whether two rows were run with a common pair of seeds, but never on one type of machine."""
    there = known.astype(np.float64)
    met = there @ there.T > 0
    return np.asarray(met & (_common(known, design.blocks) == 0))


def _welch(values: Floats, alone: Flags, variance: Floats, df: Floats, error: Floats) -> tuple[Floats, Floats, Floats]:
    """Fill in what Welch's test of unpaired runs takes (Biometrika 34, 1947)."""
    if not alone.any():
        return variance, df, error
    known = np.isfinite(values)
    n = np.maximum(known.sum(axis=1), 1)
    mean = np.where(known, values, 0.0).sum(axis=1) / n
    spread = (np.where(known, values - mean[:, None], 0.0) ** 2).sum(axis=1) / np.maximum(n - 1, 1)
    share = spread / n
    both = share[:, None] + share[None]
    with np.errstate(invalid="ignore", divide="ignore"):
        freedom = both**2 / ((share**2 / np.maximum(n - 1, 1))[:, None] + (share**2 / np.maximum(n - 1, 1))[None])
    freedom = np.where(np.isfinite(freedom), freedom, 0.0)
    return (
        np.where(alone, spread[:, None] + spread[None], variance),
        np.where(alone, freedom, df),
        np.where(alone, np.sqrt(both), error),
    )
