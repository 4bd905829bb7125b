"""Combinations compared over the data sets of a suite by the means of their scores: data set is a factor of the model.

Within each data set rows and pairs of seeds are the two factors, as in its own table; the difference of two rows is the
mean of its differences on the data sets, and their variances add up, with Satterthwaite's degrees of freedom. This says
what holds on average of *these* data sets; ranks over many data sets (`mean_ranks`) say what to expect of another one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from ltbench.columns import Unit
from ltbench.leaderboard.statistics.aliasing import Combined
from ltbench.leaderboard.statistics.comparisons import (
    between_ends,
    compare_rows,
    consistent,
    half_widths,
    rank_ranges,
)
from ltbench.leaderboard.statistics.estimates import CONSTANT, Estimate
from ltbench.leaderboard.statistics.mean_ranks import boards_of_datasets, label_of, shared_combinations
from ltbench.leaderboard.statistics.ranking import Ranking
from ltbench.leaderboard.statistics.record_groups import RecordGroup
from ltbench.leaderboard.statistics.row_design import RowDesign
from ltbench.leaderboard.statistics.score_array import ScoreArray

if TYPE_CHECKING:
    from ltbench.leaderboard.statistics.estimates import Floats


class DatasetRow(msgspec.Struct, frozen=True, kw_only=True):
    """A combination over all data sets, best first."""

    label: str
    mean: float
    """Mean score over the data sets."""
    by_dataset: list[float]
    rank: int
    last_rank: int
    delta: Estimate | None
    """Mean difference to the reference with its simultaneous interval; n is the number of data sets."""


class OverDatasets(msgspec.Struct, frozen=True, kw_only=True):
    """The comparison over data sets."""

    datasets: list[str]
    metric: str
    """Its name within a sentence."""
    unit: Unit
    rows: list[DatasetRow]
    p_interaction: float | None
    """P-value of the test that differences are the same on every data set; None where it cannot be made."""


def over_datasets(groups: Sequence[RecordGroup], reference: str = "baseline") -> OverDatasets | None:
    """Compare the combinations that were run on every data set; None with one data set, metric or combination.

    groups: the boards of a suite, of which the fullest of each data set counts; reference: label of a row.
    """
    boards = boards_of_datasets(groups)
    metrics = {board.ranking.name for board in boards.values()}
    if len(boards) < 2 or len(metrics) > 1:
        return None
    arrays = [
        ScoreArray.of(board.records, board.ranking.name, fractions=board.ranking.is_fraction)
        for board in boards.values()
    ]
    shared = shared_combinations(list(boards.values()))
    if len(shared) < 2:
        return None
    first = next(iter(boards.values()))
    return _compared(list(boards), first.ranking, arrays, shared, reference)


def _compared(
    datasets: list[str],
    ranking: Ranking,
    arrays: Sequence[ScoreArray],
    shared: Sequence[Combined],
    reference: str,
) -> OverDatasets:
    found, sign = [], ranking.sign
    for scores in arrays:
        rows = [scores.rows[one] for one in shared]
        design = scores.design(None)
        part = RowDesign(
            blocks=design.blocks[rows], kinds=design.kinds[np.ix_(rows, rows)], machines=design.machines[rows],
            environments=design.environments,
        )  # fmt: skip
        found.append(compare_rows(scores.at(None)[rows], part, sign, fractions=scores.fractions))
    many = len(found)
    by_dataset = np.stack([one.means for one in found])
    means = by_dataset.mean(axis=0)
    gaps = np.mean([one.gaps for one in found], axis=0)
    squares = np.stack([one.error**2 for one in found])
    error = np.sqrt(squares.sum(axis=0)) / many
    with np.errstate(invalid="ignore", divide="ignore"):
        df = squares.sum(axis=0) ** 2 / (squares**2 / np.stack([one.df for one in found])).sum(axis=0)
    tested = np.isfinite(gaps) & np.isfinite(error) & (error > CONSTANT) & np.isfinite(df)
    alone = np.any([one.variances.each_own for one in found], axis=0)
    half = half_widths(error, df, by_range=tested & ~alone, alone=tested & alone, rows=len(shared))
    order = means[:, None] - means[None]
    gaps, low, high, _ = consistent(gaps, gaps - half, gaps + half, np.full(gaps.shape, np.nan), order)
    places, last = rank_ranges(means, (low if sign > 0 else -high) > 0)
    labels = [label_of(one) for one in shared]
    base = labels.index(reference) if reference in labels else None
    rows_found = [
        DatasetRow(
            label=label, mean=float(means[i]), by_dataset=by_dataset[:, i].tolist(), rank=places[i] or 1,
            last_rank=last[i] or len(labels), delta=_delta(gaps, low, high, i, base, many),
        )
        for i, label in enumerate(labels)
    ]  # fmt: skip
    order = sorted(range(len(labels)), key=lambda i: (-sign * means[i], i))
    return OverDatasets(
        datasets=datasets, metric=ranking.words, unit=ranking.unit, rows=[rows_found[i] for i in order],
        p_interaction=_p_interaction(by_dataset, squares, [one.df for one in found]),
    )  # fmt: skip


def _delta(gaps: Floats, low: Floats, high: Floats, row: int, base: int | None, many: int) -> Estimate | None:
    if base is None or row == base or not np.isfinite(gaps[row, base]):
        return None
    gap, ends = float(gaps[row, base]), (float(low[row, base]), float(high[row, base]))
    if not np.isfinite(ends[0]):
        return Estimate(gap, None, None, many)
    return between_ends(gap, *ends, many)


def _p_interaction(by_dataset: Floats, squares: Floats, df: Sequence[Floats]) -> float | None:
    """Return the p-value of the F test of rows x data sets against the error of the means within data sets."""
    from scipy import stats

    many, rows = by_dataset.shape
    above = np.triu_indices(rows, 1)
    # Of a mean of a row on a data set: half of the variance of a difference, averaged over pairs and data sets.
    parts = [float(np.nanmean(square[above])) / 2 if np.isfinite(square[above]).any() else np.nan for square in squares]
    freedom = [float(np.nanmax(one[above])) for one in df]
    if not np.isfinite(parts).all() or min(freedom) <= 0 or sum(parts) <= CONSTANT**2:
        return None
    rest = by_dataset - by_dataset.mean(axis=0) - by_dataset.mean(axis=1, keepdims=True) + by_dataset.mean()
    error = sum(parts) / many
    satterthwaite = sum(parts) ** 2 / sum(part**2 / one for part, one in zip(parts, freedom, strict=True))
    between = (rows - 1) * (many - 1)
    return float(stats.f.sf((rest**2).sum() / between / error, between, satterthwaite))
