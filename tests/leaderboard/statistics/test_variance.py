from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from ltbench.leaderboard.statistics.score_array import ScoreArray
from ltbench.leaderboard.statistics.variance import sd_interval, variances


def scores(values: np.ndarray, runs: list[tuple[int, int]], factors: list[float] | None = None) -> ScoreArray:
    """Return scores of combinations, runs; values: float [combinations, runs], the same at every factor."""
    made = ScoreArray([frozenset({("loss", name)}) for name in map(str, range(len(values)))], factors or [100.0], runs)
    made.values[:] = values[:, None, :]
    return made


def cross(subsets: int, seeds: int) -> list[tuple[int, int]]:
    return [(subset, seed) for subset in range(subsets) for seed in range(seeds)]


def test_components_worked_by_hand() -> None:
    # Two combinations, three runs. Means 2 and 4 by combination, 2, 3 and 4 by run, 3 in all; residuals 0.5 (-1, 0, 1),
    # so SS 6, 4 and 1 with 1, 2 and 2 degrees of freedom: MS 6, 2 and 0.5.
    values = np.array([[1.5, 2.0, 2.5], [2.5, 4.0, 5.5]])
    (found,) = variances(scores(values, [(0, 0), (1, 1), (2, 2)]))
    assert [share.source for share in found.shares] == ["combination", "pair of seeds", "rest"]
    # (6 - 0.5) / 3 runs, (2 - 0.5) / 2 combinations, 0.5.
    assert [share.sd**2 for share in found.shares] == pytest.approx([5.5 / 3, 0.75, 0.5])
    assert sum(share.share for share in found.shares) == pytest.approx(1)
    assert found.shares[2].share == pytest.approx(0.5 / (5.5 / 3 + 1.25))


def test_mean_squares_are_those_of_statsmodels_type_two() -> None:
    import pandas as pd

    formula = pytest.importorskip("statsmodels.formula.api")
    anova = pytest.importorskip("statsmodels.stats.anova")
    values = np.random.default_rng(2).normal(0, 1, (5, 3, 4)) + np.arange(5)[:, None, None]
    t, s, r = np.indices(values.shape)
    frame = pd.DataFrame({"y": values.ravel(), "t": t.ravel(), "s": s.ravel(), "r": r.ravel()})
    theirs = anova.anova_lm(formula.ols("y ~ C(t) + C(s) + C(r)", frame).fit(), typ=2)
    squares = theirs["sum_sq"] / theirs["df"]
    rest = squares["Residual"]
    expected = [max(0.0, (squares[f"C({x})"] - rest) * levels / 60) for x, levels in (("t", 5), ("s", 3), ("r", 4))]
    (found,) = variances(scores(values.reshape(5, 12), cross(3, 4)))
    assert [share.source for share in found.shares] == ["combination", "subset seed", "training seed", "rest"]
    assert [share.sd**2 for share in found.shares] == pytest.approx([*expected, rest])
    assert [share.levels for share in found.shares] == [5, 3, 4, int(theirs["df"]["Residual"])]


def test_components_are_right_on_average() -> None:
    # 400 suites of 6 combinations, 4 subsets, 4 training seeds; SDs 2, 1, 0.5 and 0.7; seed 4.
    rng = np.random.default_rng(4)
    found = []
    for _ in range(400):
        parts = rng.normal(0, 2, (6, 1, 1)), rng.normal(0, 1, (1, 4, 1)), rng.normal(0, 0.5, (1, 1, 4))
        values = sum(parts) + rng.normal(0, 0.7, (6, 4, 4))
        (one,) = variances(scores(values.reshape(6, 16), cross(4, 4)))
        found.append([share.sd**2 for share in one.shares])
    # Cutting off below zero moves the small components up by a little.
    assert np.mean(found, axis=0) == pytest.approx([4, 1, 0.25, 0.49], rel=0.15)


def test_small_and_incomplete_designs_say_that_it_cannot_be_told() -> None:
    rng = np.random.default_rng(1)
    for values, runs in (
        (rng.normal(0, 1, (4, 2)), [(0, 0), (1, 1)]),
        (rng.normal(0, 1, (1, 5)), [(s, s) for s in range(5)]),
        (np.full((3, 3), np.nan), [(s, s) for s in range(3)]),
    ):
        (found,) = variances(scores(values, runs))
        assert found.shares == []
        assert "at least 3 pairs of seeds" in found.why


def test_sources_are_what_the_seeds_allow_to_tell() -> None:
    values = np.random.default_rng(1).normal(0, 1, (4, 9))

    def sources(runs: list[tuple[int, int]]) -> list[str]:
        (found,) = variances(scores(values[:, : len(runs)], runs))
        return [share.source for share in found.shares[1:-1]]

    assert sources(cross(3, 3)) == ["subset seed", "training seed"]
    assert sources(cross(1, 4)) == ["training seed"]
    assert sources(cross(4, 1)) == ["subset seed"]
    assert sources(cross(2, 4)) == ["pair of seeds"]  # two subsets leave one degree of freedom
    assert sources(cross(3, 3)[:-1]) == ["pair of seeds"]


def test_combinations_that_miss_a_run_do_not_count() -> None:
    values = np.random.default_rng(1).normal(0, 1, (4, 3))
    whole = variances(scores(values[:3], [(s, s) for s in range(3)]))
    values[3, 1] = np.nan
    (found,) = variances(scores(values, [(s, s) for s in range(3)]))
    assert (found.rows, found.shares) == (3, whole[0].shares)


def test_numbers_that_are_all_the_same_have_no_variance() -> None:
    (found,) = variances(scores(np.full((3, 3), 0.5), [(s, s) for s in range(3)]))
    assert [share.share for share in found.shares] == [0, 0, 0]


def test_several_factors_have_their_mean_beside_them() -> None:
    values = np.random.default_rng(1).normal(0, 1, (3, 3))
    found = variances(scores(values, [(s, s) for s in range(3)], [10.0, 100.0]))
    assert [one.factor for one in found] == [10.0, 100.0, None]


def test_the_interval_of_an_sd_is_that_of_chi_squared_and_covers() -> None:
    # chi-squared with 2 degrees of freedom: 0.0506 and 7.378 in any table.
    assert sd_interval(3) == pytest.approx(((2 / 7.378) ** 0.5, (2 / 0.0506) ** 0.5), rel=1e-3)
    sds = np.random.default_rng(3).normal(0, 1, (4000, 3)).std(axis=1, ddof=1)
    low, high = sd_interval(3)
    assert np.mean((low * sds <= 1) & (high * sds >= 1)) == pytest.approx(0.95, abs=0.0105)
    assert stats.chi2.ppf(0.975, 2) == pytest.approx(7.378, abs=1e-3)
