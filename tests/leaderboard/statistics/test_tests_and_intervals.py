from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from ltbench.leaderboard.statistics.tests_and_intervals import (
    areas,
    differences,
    estimates,
    holm,
    p_values_against,
    pooled,
    ranking,
    tied,
)

NAN = float("nan")


def ranks(values: npt.NDArray[np.float64]) -> list[int | None]:
    return ranking(values).places


def separated(values: npt.NDArray[np.float64], reference: int) -> npt.NDArray[np.bool_]:
    return np.asarray(p_values_against(values, reference) < 0.05)


def test_mean_sd_and_interval_worked_by_hand() -> None:
    # mean 70, deviations -1, 0, 1, so sd 1; t(0.975, 2) = 4.3027 from any table.
    (estimate,) = estimates(np.array([[69.0, 70.0, 71.0]]))
    assert estimate is not None
    assert (estimate.mean, estimate.sd, estimate.n) == (70.0, 1.0, 3)
    assert estimate.half == pytest.approx(4.3027 / 3**0.5, rel=1e-4)


def test_the_interval_is_scipys() -> None:
    values = np.random.default_rng(1).normal(0.7, 0.01, (4, 5))
    for row, estimate in zip(values, estimates(values), strict=True):
        interval = stats.ttest_1samp(row, 0).confidence_interval(0.95)
        assert estimate is not None
        assert estimate.half is not None
        assert (estimate.mean - estimate.half, estimate.mean + estimate.half) == pytest.approx(tuple(interval))


def test_one_run_has_no_interval_and_none_no_mean() -> None:
    one, none = estimates(np.array([[NAN, 0.5], [NAN, NAN]]))
    assert one is not None
    assert (one.mean, one.sd, one.half, one.n) == (0.5, None, None, 1)
    assert none is None


def test_differences_are_taken_run_by_run_over_shared_runs() -> None:
    values = np.array([[0.50, 0.60, 0.90], [0.51, 0.62, NAN]])
    itself, other = differences(values, 0)
    assert itself is not None
    assert other is not None
    assert itself.mean == 0
    assert (round(other.mean, 6), other.n) == (0.015, 2)


def test_holm_worked_by_hand() -> None:
    # Sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1: 0.02, 0.03, 0.06, 0.04 -> the last may not be below the one before.
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_leaves_out_what_was_not_tested_and_stops_at_one() -> None:
    corrected = holm(np.array([NAN, 0.9, 0.8]))
    assert np.isnan(corrected[0])
    assert corrected[1:].tolist() == [1.0, 1.0]


def noisy(means: list[float], runs: int, sd: float = 0.005, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    # What a run shares among rows, its subset and initial weights, is larger than what rows differ by.
    return np.array(means)[:, None] + rng.normal(0, 0.05, runs) + rng.normal(0, sd, (len(means), runs))


def test_pairing_separates_what_the_spread_of_runs_would_hide() -> None:
    values = noisy([0.60, 0.62], 5)
    assert stats.ttest_ind(values[0], values[1]).pvalue > 0.05
    assert separated(values, 0).tolist() == [False, True]
    assert ranks(values) == [2, 1]


def test_rows_tie_that_no_test_separates() -> None:
    assert ranks(noisy([0.600, 0.601, 0.599], 4)) == [1, 1, 1]


def test_a_new_group_begins_with_its_place() -> None:
    assert ranks(noisy([0.80, 0.70, 0.70, 0.50], 8)) == [1, 2, 2, 4]


def test_two_runs_of_differences_that_never_vary_separate_nothing() -> None:
    values = np.array([[0.5, 0.6, 0.7], [0.51, 0.61, 0.71]])
    assert ranks(values) == [1, 1]
    assert separated(values, 0).tolist() == [False, False]
    assert ranks(np.array([[0.5, 0.5], [0.5, 0.5]])) == [1, 1]


def test_a_single_run_separates_nothing_and_a_row_without_runs_has_no_rank() -> None:
    assert ranks(np.array([[0.5], [0.9], [NAN]])) == [1, 1, None]
    assert ranks(np.empty((0, 3))) == []


def test_a_row_that_misses_runs_is_tested_over_those_it_has() -> None:
    values = noisy([0.60, 0.70], 6)
    values[0, :3] = NAN
    p = stats.ttest_rel(values[0, 3:], values[1, 3:]).pvalue
    assert separated(values, 1).tolist() == [p < 0.05, False]
    assert p < 0.05


def test_ranks_do_not_depend_on_the_order_of_rows() -> None:
    values = noisy([0.8, 0.7, 0.7, 0.6, 0.5, 0.5], 5)
    order = np.random.default_rng(5).permutation(6)
    assert [ranks(values)[i] for i in order] == ranks(values[order])


def test_equal_rows_are_separated_in_at_most_one_table_of_twenty() -> None:
    # 400 tables of 8 equal rows and 4 runs, seed 0: the family-wise error of Holm's correction is at most 5 %.
    wrong = sum(max(ranks(noisy([0.7] * 8, 4, seed=seed))) > 1 for seed in range(400))  # type: ignore[type-var]
    assert wrong <= 0.05 * 400 + 2 * (0.05 * 0.95 * 400) ** 0.5


def test_the_interval_covers_the_truth_in_95_of_100() -> None:
    # 4,000 samples of three runs, seed 11; the standard error of the coverage is 0.35 points.
    values = np.random.default_rng(11).normal(0.7, 0.01, (4000, 3))
    inside = [abs(e.mean - 0.7) <= e.half for e in estimates(values) if e is not None and e.half is not None]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.0105)


def test_a_mean_over_factors_needs_all_of_them() -> None:
    assert pooled([np.array([[0.2, 0.4]]), np.array([[0.4, NAN]])])[0].tolist()[0] == pytest.approx(0.3)
    assert np.isnan(pooled([np.array([[0.2, 0.4]]), np.array([[0.4, NAN]])])[0, 1])


def test_shared_places() -> None:
    assert tied([1, 1, 3, None, None]) == [True, True, False, False, False]


def test_the_best_row_is_told_apart_with_a_correction_over_all_pairs() -> None:
    values = noisy([0.705, 0.65, 0.70], 8)
    found = ranking(values)
    assert (found.best, found.apart, found.pairs) == (0, [False, True, False], 3)
    assert found.p_best[0] is None
    p = [stats.ttest_rel(values[0], values[1]).pvalue, stats.ttest_rel(values[0], values[2]).pvalue,
         stats.ttest_rel(values[2], values[1]).pvalue]  # fmt: skip
    assert found.p_best[1:] == pytest.approx(holm(np.array(p))[:2])


def test_among_equals_at_most_one_table_of_twenty_tells_a_row_from_the_best() -> None:
    # 300 tables of 12 equal rows and 4 runs, seeds 0 to 299. Found: 2.0 %; corrected over the tests against the best
    # alone, which the same numbers chose, it would be 10.0 %.
    tables = [noisy([0.7] * 12, 4, seed=seed) for seed in range(300)]
    assert np.mean([any(ranking(values).apart) for values in tables]) <= 0.05 + 2 * (0.05 * 0.95 / 300) ** 0.5
    naive = np.mean([separated(values, int(np.argmax(values.mean(axis=1)))).any() for values in tables])
    assert naive > 0.08


def test_the_area_worked_by_hand() -> None:
    # Accuracy 0.8, 0.7 and 0.4 at factors 10, 100 and 1,000: (0.75 + 0.55) / 2; the mean would be 0.6333.
    parts = [np.array([[0.8]]), np.array([[0.7]]), np.array([[0.4]])]
    assert areas(parts, [10.0, 100.0, 1000.0])[0, 0] == pytest.approx(0.65)
    # A factor close to another counts for little: trapezoids of width log 2 and log 5.
    assert areas(parts, [10.0, 20.0, 100.0])[0, 0] == pytest.approx((0.75 * np.log(2) + 0.55 * np.log(5)) / np.log(10))
    assert np.isnan(areas([np.array([[0.8]]), np.array([[NAN]])], [10.0, 100.0])[0, 0])


def test_a_line_that_is_flat_has_its_height_as_area() -> None:
    assert areas([np.array([[0.5]])] * 3, [5.0, 7.0, 200.0])[0, 0] == pytest.approx(0.5)
