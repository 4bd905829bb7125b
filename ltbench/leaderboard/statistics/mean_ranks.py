"""Mean ranks of combinations over data sets, and their critical difference.

Source: Demsar, "Statistical comparisons of classifiers over multiple data sets", JMLR 7 (2006): Friedman's test over
data sets, then Nemenyi's critical difference between mean ranks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from ltbench.leaderboard.statistics.aliasing import Combined
from ltbench.leaderboard.statistics.estimates import LEVEL
from ltbench.leaderboard.statistics.record_groups import RecordGroup
from ltbench.leaderboard.statistics.score_array import ScoreArray
from ltbench.records.record import combination_order

if TYPE_CHECKING:
    from ltbench.leaderboard.statistics.estimates import Floats

FEWEST_DATASETS = 10
"""Data sets from which Friedman's statistic may be taken for chi-squared (Demsar 2006, section 3.2.2)."""
FEWEST_ROWS = 3


class MeanRanks(msgspec.Struct, frozen=True, kw_only=True):
    """Mean ranks over data sets, best first."""

    datasets: list[str]
    labels: list[str]
    ranks: list[float]
    p: float
    """P-value of Friedman's test that all combinations rank the same."""
    difference: float
    """Nemenyi's critical difference of mean ranks at 5 %."""
    groups: list[tuple[int, int]]
    """First and last place of each maximal run of neighbours that do not differ significantly."""


def mean_ranks(groups: Sequence[RecordGroup]) -> MeanRanks | str:
    """Return the ranks over the data sets of a suite, or a sentence on why there are none.

    Of a data set its fullest board counts. Imbalance factors, models and seeds of one data set are not independent of
    one another, so they are averaged and do not count as data sets. Only combinations that were run on every data set
    are ranked.
    """
    boards = boards_of_datasets(groups)
    if len(boards) < FEWEST_DATASETS:
        have = f"this suite has {len(boards)}"
        return (
            f"A critical-difference diagram compares mean ranks over data sets; it takes at least {FEWEST_DATASETS} "
            f"(Demšar 2006), and {have}. Imbalance factors and seeds of one data set are not independent and do not count."
        )
    shared = shared_combinations(list(boards.values()))
    if len(shared) < FEWEST_ROWS:
        return (
            f"A critical-difference diagram ranks at least {FEWEST_ROWS} combinations that were run on every data set; "
            f"this suite has {len(shared)}."
        )
    labels = [label_of(one) for one in shared]
    means = [_means(board) for board in boards.values()]
    return rank_and_test(list(boards), labels, np.array([[mine[one] for one in shared] for mine in means]))


def boards_of_datasets(groups: Sequence[RecordGroup]) -> dict[str, RecordGroup]:
    """Return the fullest board of each data set."""
    boards: dict[str, RecordGroup] = {}
    for group in groups:
        rival = boards.get(group.dataset)
        if rival is None or group.ok_count() > rival.ok_count():
            boards[group.dataset] = group
    return boards


def shared_combinations(boards: Sequence[RecordGroup]) -> list[Combined]:
    """Return the combinations that have a number on every board, simple ones first."""
    means = [_means(board) for board in boards]
    shared = [one for one in means[0] if all(one in other for other in means)]
    return sorted(
        shared, key=lambda one: combination_order(sorted(one, key=lambda picked: combination_order([picked])))
    )


def rank_and_test(datasets: Sequence[str], labels: Sequence[str], values: Floats) -> MeanRanks:
    """Rank combinations and test the ranks. values: float [data sets, combinations], high is good."""
    from scipy import stats

    many, size = values.shape
    ranks = stats.rankdata(-values, axis=1).mean(axis=0)
    order = sorted(range(size), key=lambda i: (ranks[i], i))
    # Without a single difference Friedman's statistic is 0 / 0.
    equal = bool((np.ptp(values, axis=1) == 0).all())
    p = 1.0 if equal else float(stats.friedmanchisquare(*values.T).pvalue)
    quantile = stats.studentized_range.ppf(1 - LEVEL, size, np.inf) / np.sqrt(2)
    difference = float(quantile * np.sqrt(size * (size + 1) / (6 * many)))
    means = [float(ranks[i]) for i in order]
    groups: list[tuple[int, int]] = []
    for first in range(size):
        last = max(i for i in range(first, size) if means[i] - means[first] <= difference)
        if last > first and (not groups or last > groups[-1][1]):
            groups.append((first, last))
    return MeanRanks(
        datasets=list(datasets), labels=[labels[i] for i in order], ranks=means, p=p, difference=difference, groups=groups
    )  # fmt: skip


def _means(group: RecordGroup) -> dict[Combined, float]:
    """Return the mean score of each combination over the runs that it has at every factor; high is good."""
    scores = ScoreArray.of(group.records, group.ranking.name)
    values = group.ranking.sign * scores.at(None)
    known = np.isfinite(values)
    return {
        combination: float(values[row][known[row]].mean())
        for row, combination in enumerate(scores.combinations)
        if known[row].any()
    }


def label_of(combination: Combined) -> str:
    """Return a combination as a table writes it."""
    ordered = sorted(combination, key=lambda picked: combination_order([picked]))
    return " + ".join(label for _, label in ordered) or "baseline"
