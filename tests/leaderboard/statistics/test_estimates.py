from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from ltbench.leaderboard.statistics.estimates import (
    areas,
    estimates,
    pooled,
)

NAN = float("nan")


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


def test_the_interval_covers_the_truth_in_95_of_100() -> None:
    # 4,000 samples of three runs, seed 11; the standard error of the coverage is 0.35 points.
    values = np.random.default_rng(11).normal(0.7, 0.01, (4000, 3))
    inside = [abs(e.mean - 0.7) <= e.half for e in estimates(values) if e is not None and e.half is not None]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.0105)


def test_a_mean_over_factors_needs_all_of_them() -> None:
    assert pooled([np.array([[0.2, 0.4]]), np.array([[0.4, NAN]])])[0].tolist()[0] == pytest.approx(0.3)
    assert np.isnan(pooled([np.array([[0.2, 0.4]]), np.array([[0.4, NAN]])])[0, 1])


def test_the_area_worked_by_hand() -> None:
    # Accuracy 0.8, 0.7 and 0.4 at factors 10, 100 and 1,000: (0.75 + 0.55) / 2; the mean would be 0.6333.
    parts = [np.array([[0.8]]), np.array([[0.7]]), np.array([[0.4]])]
    assert areas(parts, [10.0, 100.0, 1000.0])[0, 0] == pytest.approx(0.65)
    # A factor close to another counts for little: trapezoids of width log 2 and log 5.
    assert areas(parts, [10.0, 20.0, 100.0])[0, 0] == pytest.approx((0.75 * np.log(2) + 0.55 * np.log(5)) / np.log(10))
    assert np.isnan(areas([np.array([[0.8]]), np.array([[NAN]])], [10.0, 100.0])[0, 0])


def test_a_line_that_is_flat_has_its_height_as_area() -> None:
    assert areas([np.array([[0.5]])] * 3, [5.0, 7.0, 200.0])[0, 0] == pytest.approx(0.5)
