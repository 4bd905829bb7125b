from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from ltbench.leaderboard.statistics.effect_size import effect_size, power_of, runs_needed
from ltbench.leaderboard.statistics.estimates import Estimate, estimates

# Extra hours of sleep of ten patients under two drugs: the data set `sleep` of R.
FIRST = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
SECOND = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]


def test_the_effect_size_is_the_one_that_r_documents() -> None:
    # R: effectsize::hedges_g(Pair(extra[group == 1], extra[group == 2]) ~ 1, data = sleep_wide) is -1.17; Cohen's is -1.28.
    (gap,) = estimates(np.array([FIRST]) - np.array([SECOND]))
    assert gap is not None
    assert gap.mean / gap.sd == pytest.approx(-1.28, abs=0.005)
    assert effect_size(gap) == pytest.approx(-1.17, abs=0.005)


def test_three_runs_are_corrected_by_the_factor_worked_by_hand() -> None:
    # J(2) = gamma(1) / (sqrt(2 / 2) * gamma(1 / 2)) = 1 / sqrt(pi) = 0.5642.
    assert effect_size(Estimate(0.02, 0.01, 0.0, 3)) == pytest.approx(2 / np.pi**0.5)


@pytest.mark.parametrize(
    "gap", [None, Estimate(0.1, None, None, 1), Estimate(0.1, 0.1, 1.0, 2), Estimate(0.1, 0.0, 0.0, 5)]
)
def test_without_spread_or_runs_there_is_no_effect_size(gap: Estimate | None) -> None:
    assert effect_size(gap) is None


def test_the_corrected_size_is_right_on_average() -> None:
    # 20,000 samples of three runs with d_z 0.8, seed 3: uncorrected they would be 0.8 / 0.5642 = 1.42 on average.
    gaps = np.random.default_rng(3).normal(0.8, 1, (20_000, 3))
    sizes = [effect_size(gap) for gap in estimates(gaps)]
    assert np.median(sizes) < np.mean(sizes)  # heavy tails: with 2 degrees of freedom the mean converges slowly
    assert stats.trim_mean(sizes, 0.001) == pytest.approx(0.8, abs=0.06)


@pytest.mark.parametrize(("size", "runs"), [(0.2, 199), (0.5, 34), (0.8, 15), (1.0, 10), (2.0, 5)])
def test_runs_needed_are_those_that_g_power_and_r_give(size: float, runs: int) -> None:
    # R: pwr::pwr.t.test(d = 0.5, power = 0.8, type = "paired") gives n = 33.37; 198.15, 14.30, 9.94 and 4.22 for the others.
    assert runs_needed(size) == runs
    assert runs_needed(-size) == runs


def test_the_power_is_that_of_scipys_noncentral_t() -> None:
    for size, runs in ((0.1, 5), (0.5, 20), (1.0, 10), (0.3, 100)):
        quantile, shift = stats.t.ppf(0.975, runs - 1), size * runs**0.5
        exact = stats.nct.sf(quantile, runs - 1, shift) + stats.nct.cdf(-quantile, runs - 1, shift)
        assert power_of(size, runs) == pytest.approx(exact, abs=1e-6)
    assert power_of(0.0, 7) == pytest.approx(0.05, abs=1e-6)


def test_the_power_is_how_often_the_test_separates() -> None:
    # 4,000 samples of 6 runs with d_z 1.2, seed 8.
    p = stats.ttest_1samp(np.random.default_rng(8).normal(1.2, 1, (4000, 6)), 0, axis=1).pvalue
    assert np.mean(p < 0.05) == pytest.approx(power_of(1.2, 6), abs=0.025)


def test_small_effects_and_strict_levels_have_an_answer() -> None:
    assert runs_needed(0.01) is None
    assert runs_needed(50.0) == 2
    strict = runs_needed(1.0, 0.05 / 124_750)
    assert strict is not None
    assert strict > 40
