from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from error_rates import design_of, star_of
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ltbench.leaderboard.statistics.comparisons import Comparisons, compare_rows, mean_estimates
from ltbench.leaderboard.statistics.estimates import LEVEL
from ltbench.leaderboard.statistics.row_design import RowDesign
from ltbench.leaderboard.statistics.simultaneous import range_p, range_quantile, range_quantiles, range_tail

NAN = float("nan")
Array = npt.NDArray[np.float64]


def noisy(means: list[float], runs: int, sd: float = 0.005, seed: int = 0) -> Array:
    rng = np.random.default_rng(seed)
    # What a run shares among rows, its subset and initial weights, is larger than what rows differ by.
    return np.array(means)[:, None] + rng.normal(0, 0.05, runs) + rng.normal(0, sd, (len(means), runs))


def machines(types: list[list[int]]) -> RowDesign:
    """Return the design of rows whose runs were on these types of machines."""
    numbers = np.array(types, dtype=np.intp)
    rows, runs = numbers.shape
    blocks = np.arange(runs) + runs * numbers
    environments = tuple(({"torch": str(number)},) for number in range(numbers.max() + 1))
    return RowDesign(
        blocks=blocks, kinds=np.zeros((rows, rows), dtype=np.intp), machines=numbers, environments=environments
    )


# --- the pooled form ------------------------------------------------------------------------------------------------


def test_a_complete_table_is_tukeys_test_on_the_residual_of_the_analysis_of_variance() -> None:
    values = noisy([0.60, 0.61, 0.62, 0.64], 5, sd=0.01)
    found = compare_rows(values)
    # By hand: residuals after rows and blocks, 3 x 4 degrees of freedom; the error of a mean is the root of MS / 5.
    rest = values - values.mean(axis=1, keepdims=True) - values.mean(axis=0) + values.mean()
    square = (rest**2).sum() / 12
    width = stats.studentized_range.ppf(0.95, 4, 12) * (square / 5) ** 0.5
    assert found.form == "pooled"
    assert set(found.df[~np.eye(4, dtype=bool)]) == {12.0}
    gap = found.difference(3, 0)
    assert gap is not None
    assert gap.mean == pytest.approx(values[3].mean() - values[0].mean())
    assert (gap.half, gap.sd, gap.n) == (pytest.approx(width), pytest.approx((2 * square) ** 0.5), 5)
    p = stats.studentized_range.sf(abs(gap.mean) / (square / 5) ** 0.5, 4, 12)
    assert found.p[3, 0] == pytest.approx(p, rel=2e-3)


def test_two_rows_are_the_paired_t_test() -> None:
    values = noisy([0.60, 0.605], 6)
    test = stats.ttest_rel(values[1], values[0])
    found = compare_rows(values)
    assert found.p[1, 0] == pytest.approx(test.pvalue, rel=2e-3)
    interval = test.confidence_interval(0.95)
    assert (found.low[1, 0], found.high[1, 0]) == (pytest.approx(interval.low), pytest.approx(interval.high))


def test_the_distribution_of_the_range_is_that_of_scipy() -> None:
    for rows, df in ((2, 1.0), (3, 1.7), (16, 9.41), (16, 14.0), (64, 126.0), (500, 2000.0)):
        q = np.geomspace(0.2, 40, 8)
        exact = [stats.studentized_range.sf(x, rows, df) for x in q]
        assert range_tail(q, rows, df) == pytest.approx(exact, abs=1e-10)
    assert range_quantile(2, 1.0) == pytest.approx(stats.t.ppf(0.975, 1))
    assert range_quantile(16, 1e6) * 2**0.5 == pytest.approx(stats.studentized_range.ppf(0.95, 16, np.inf), rel=1e-5)


def test_quantiles_of_many_degrees_of_freedom_are_interpolated() -> None:
    for low in (1.0, 2.0, 8.0):
        df = np.linspace(low, 40, 50).reshape(10, 5)
        exact = np.vectorize(lambda one: range_quantile(6, one))(df)
        assert range_quantiles(6, df) == pytest.approx(exact, rel=2e-4)


def test_interpolated_p_values_are_those_of_scipy() -> None:
    for rows, df in ((2, 2.0), (3, 4.0), (16, 14.0), (16, 30.0), (64, 126.0)):
        t = np.geomspace(0.05, 20, 60)
        exact = np.array([stats.studentized_range.sf(x * 2**0.5, rows, df) for x in t])
        assert range_p(t, rows, df) == pytest.approx(np.clip(exact, 1e-10, 1), rel=5e-3, abs=2e-9)


@pytest.mark.parametrize(
    ("rows", "df", "quantile"), [(2, 1, 17.97), (10, 1, 49.07), (3, 2, 8.331), (16, 14, 5.785), (16, 30, 5.271)]
)
def test_quantiles_are_those_of_printed_tables(rows: int, df: float, quantile: float) -> None:
    # Harter, "Tables of range and studentized range", Annals of Mathematical Statistics 31 (1960); the last two by scipy.
    assert range_quantile(rows, df) * 2**0.5 == pytest.approx(quantile, rel=2e-3)


def test_a_block_that_a_row_lacks_neither_helps_nor_harms_it() -> None:
    # Seed 2 is hard for all rows. Row 1 equals row 0 and lacks that seed.
    values = np.array([[0.7, 0.7, 0.4], [0.7, 0.7, NAN], [0.68, 0.69, 0.41], [0.66, 0.70, 0.40]])
    found = compare_rows(values)
    assert np.nanmean(values[1]) == pytest.approx(0.7)
    assert found.means[0] == pytest.approx(0.6)
    assert found.means[1] == pytest.approx(0.6, abs=0.01)
    # Least squares over rows and blocks, as any package fits it.
    rows, runs = np.nonzero(np.isfinite(values))
    design = np.hstack([np.eye(4)[rows], np.eye(3)[runs][:, 1:]])
    fitted, rest, rank, _ = np.linalg.lstsq(design, values[rows, runs], rcond=None)
    assert found.gaps[1, 0] == pytest.approx(fitted[1] - fitted[0])
    assert found.df[1, 0] == len(rows) - rank == 5
    assert found.model.df == 5
    assert rest.size == 1


@pytest.mark.parametrize("share", [0.2, 0.4])
def test_a_table_with_missing_cells_has_the_standard_errors_of_least_squares(share: float) -> None:
    values = noisy([0.60, 0.61, 0.62, 0.64, 0.65], 6, sd=0.01)
    values[np.random.default_rng(4).random(values.shape) < share] = NAN
    found = compare_rows(values)
    rows, runs = np.nonzero(np.isfinite(values))
    design = np.hstack([np.eye(5)[rows], np.eye(6)[runs]])
    inverse = np.linalg.pinv(design.T @ design)
    rest = values[rows, runs] - design @ inverse @ design.T @ values[rows, runs]
    df = len(rows) - np.linalg.matrix_rank(design)
    contrast = np.eye(11)[3] - np.eye(11)[0]
    assert found.df[3, 0] == df
    assert found.error[3, 0] ** 2 == pytest.approx((rest**2).sum() / df * contrast @ inverse @ contrast)


def test_rows_that_never_share_two_runs_are_tested_by_the_residuals() -> None:
    # Seven rows in seven runs, three in each, every two together once: a balanced incomplete block design. No pair has
    # a variance of its own, and the residuals have 21 - 7 - 7 + 1 degrees of freedom.
    values = noisy([0.50, 0.55, 0.60, 0.65, 0.70, 0.75, 0.80], 7, sd=0.002)
    for run in range(7):
        values[[row for row in range(7) if row not in {run, (run + 1) % 7, (run + 3) % 7}], run] = NAN
    found = compare_rows(values)
    assert found.df[0, 1] == 8
    assert found.places == [7, 6, 5, 4, 3, 2, 1]


def test_rows_without_a_common_block_are_compared_through_another_row() -> None:
    values = noisy([0.80, 0.75, 0.70], 6, sd=0.001)
    values[0, 3:] = values[2, :3] = NAN
    found = compare_rows(values)
    assert found.gaps[0, 2] == pytest.approx(0.10, abs=0.005)
    assert found.places == [1, 2, 3]
    assert found.significant[0, 2]


def test_rows_that_nothing_connects_are_not_compared() -> None:
    values = np.array([[0.7, 0.71, NAN, NAN], [0.72, 0.70, NAN, NAN], [NAN, NAN, 0.5, 0.52], [NAN, NAN, 0.53, 0.51]])
    found = compare_rows(values)
    assert found.difference(0, 2) is None
    assert found.difference(0, 1) is not None
    assert found.places == [1, 1, 1, 1]


def test_one_run_has_differences_and_no_test() -> None:
    found = compare_rows(np.array([[0.5], [0.9], [NAN]]))
    gap = found.difference(1, 0)
    assert gap is not None
    assert (gap.mean, gap.interval, gap.sd, gap.n) == (pytest.approx(0.4), None, None, 1)
    assert (found.places, found.last_places, found.form) == ([1, 1, None], [2, 2, None], "none")
    assert compare_rows(np.empty((0, 3))).places == []


def test_a_difference_that_is_the_same_in_every_run_decides_nothing() -> None:
    found = compare_rows(np.array([[0.5, 0.6, 0.7], [0.51, 0.61, 0.71]]))
    gap = found.difference(1, 0)
    assert gap is not None
    assert (gap.interval, gap.sd, found.places) == (None, 0.0, [1, 1])
    assert compare_rows(np.array([[0.5, 0.5], [0.5, 0.5]])).places == [1, 1]


def test_low_is_good_where_the_sign_says_so() -> None:
    values = noisy([0.30, 0.20, 0.10], 6)
    assert compare_rows(values).places == [1, 2, 3]
    assert compare_rows(values, sign=-1).places == [3, 2, 1]
    assert compare_rows(values, sign=-1).best == 2


def test_ranks_are_ranges_that_the_intervals_allow() -> None:
    found = compare_rows(noisy([0.80, 0.70, 0.70, 0.50], 8))
    assert (found.places, found.last_places) == ([1, 2, 2, 4], [1, 3, 3, 4])


def test_ranks_do_not_depend_on_the_order_of_rows() -> None:
    values = noisy([0.8, 0.7, 0.7, 0.6, 0.5, 0.5], 5)
    order = np.random.default_rng(5).permutation(6)
    places = compare_rows(values).places
    assert [places[i] for i in order] == compare_rows(values[order]).places


# --- rows that share trainings --------------------------------------------------------------------------------------


def test_rows_that_share_a_training_have_a_variance_of_their_own() -> None:
    # Eight trainings with SD 1 point, each with and without a second view of SD 0.1 that adds half a point.
    rng = np.random.default_rng(1)
    training = np.repeat(rng.normal(0.6, 0.01, (8, 3)), 2, axis=0)
    values = training + rng.normal(0, 0.001, (16, 3)) + 0.005 * (np.arange(16) % 2)[:, None]
    found = compare_rows(values, design_of(16, 3, 2))
    assert found.form == "by kind"
    # 7 x 2 between trainings, and 8 x 2 within them.
    assert (found.df[0, 2], found.df[0, 1]) == (pytest.approx(14), 16)
    assert found.significant[1, 0]
    assert not found.significant[3, 0]
    assert not compare_rows(values).significant[1, 0]
    inside = values[1::2] - values[::2]
    assert found.sd[0, 1] == pytest.approx(np.sqrt(inside.var(axis=1, ddof=1).mean()))


def test_without_shared_trainings_the_two_forms_are_one() -> None:
    values = noisy([0.60, 0.61, 0.62, 0.64], 5, sd=0.01)
    assert compare_rows(values, design_of(4, 5, 1)).p == pytest.approx(compare_rows(values).p, nan_ok=True)


def star(runs: int = 3, seed: int = 0) -> tuple[Array, RowDesign]:
    """Return eight rows, of which the first and the last share a training and differ little in it: 28 pairs of rows."""
    values = noisy([0.62] * 7 + [0.60], runs, sd=0.01, seed=seed)
    rest = np.random.default_rng(seed + 1).normal(0, 0.002, runs)
    values[7] = values[0] - 0.02 + rest - rest.mean()
    return values, star_of(8, runs, 7)


def of_unrelated(values: Array) -> tuple[float, float]:
    """Return variance and degrees of freedom of the pairs of `star` that share no training, from the definitions."""
    rows, runs = values.shape
    pairs = [(i, j) for i in range(rows) for j in range(i) if (i, j) != (7, 0)]
    # Satterthwaite: trace(L S)^2 / trace(L S L S), L the graph of these pairs, S the rows with those of one training as one.
    graph = np.zeros((rows, rows))
    for i, j in pairs:
        graph[i, i] += 1
        graph[j, j] += 1
        graph[i, j] = graph[j, i] = -1
    same = np.eye(rows)
    same[0, 7] = same[7, 0] = 1
    product = graph @ same
    df = (runs - 1) * np.trace(product) ** 2 / np.trace(product @ product)
    return float(np.mean([np.var(values[i] - values[j], ddof=1) for i, j in pairs])), float(df)


def test_a_kind_with_few_degrees_of_freedom_is_tested_like_pairs_that_share_no_training() -> None:
    values, design = star()
    variance, df = of_unrelated(values)
    # 20.5 with two degrees of freedom of its own would be 5.6 times 3.7.
    own, other = stats.t.ppf(1 - 0.025 / 28, 2), stats.studentized_range.ppf(0.95, 8, df) / 2**0.5
    assert own > 2 * other
    found = compare_rows(values, design)
    assert (found.form, found.variances.borrowed) == ("by kind", {1})
    gap, unlike = found.difference(0, 7), found.difference(0, 6)
    assert gap is not None
    assert unlike is not None
    assert (gap.mean, gap.n) == (pytest.approx(0.02), 3)
    assert (gap.sd, gap.df) == (pytest.approx(variance**0.5), pytest.approx(df))
    assert gap.half == pytest.approx(other * (variance / 3) ** 0.5)
    assert (gap.half, gap.sd, gap.df) == (pytest.approx(unlike.half), pytest.approx(unlike.sd), unlike.df)
    p = stats.studentized_range.sf(0.02 / (variance / 6) ** 0.5, 8, df)
    assert found.p[0, 7] == pytest.approx(p, rel=5e-3)
    # As strict as Tukey's bound, not as Bonferroni's.
    assert found.level_of(0, 7) == pytest.approx(2 * stats.t.sf(other, df))


def test_a_kind_with_few_degrees_of_freedom_takes_its_own_variance_where_that_is_larger() -> None:
    values, design = star()
    values[7] += [0.05, 0.0, -0.05]
    variance, df = of_unrelated(values)
    own = np.var(values[7] - values[0], ddof=1)
    assert own > 2 * variance
    found = compare_rows(values, design)
    assert (found.sd[0, 7], found.df[0, 7]) == (pytest.approx(own**0.5), pytest.approx(df))
    half = stats.studentized_range.ppf(0.95, 8, df) / 2**0.5 * (own / 3) ** 0.5
    assert found.high[0, 7] - found.gaps[0, 7] == pytest.approx(half)


@pytest.mark.parametrize(
    ("rows", "runs", "every", "borrows"),
    [(3, 3, 2, False), (5, 5, 4, False), (8, 5, 7, True), (8, 9, 7, False), (97, 5, 5, True), (30, 9, 5, False)],
)
def test_the_design_alone_decides_which_kinds_have_a_variance_of_their_own(
    rows: int, runs: int, every: int, borrows: bool
) -> None:
    design, rng = star_of(rows, runs, every), np.random.default_rng(rows)
    noise = rng.normal(0, 0.01, (rows, runs))
    shares = np.arange(rows) % every == 0
    for size in (0.001, 1.0, 3.0):
        found = compare_rows(0.6 + noise * np.where(shares, size, 1.0)[:, None], design)
        df = float(found.df[0, 1])
        own = stats.t.ppf(1 - 0.025 / (rows * (rows - 1) / 2), runs - 1)
        assert borrows == (own > 2 * stats.studentized_range.ppf(0.95, rows, df) / 2**0.5)
        kinds = set(np.unique(design.kinds).tolist()) - {0}
        assert found.variances.borrowed == (kinds if borrows else set())
        assert found.variances.each_own[0, every] != borrows
        if not borrows:
            assert found.sd[0, every] == pytest.approx((noise[0] - noise[every]).std(ddof=1) * size)
            assert found.df[0, every] == runs - 1


def test_without_unrelated_pairs_each_kind_has_its_own_variance() -> None:
    values = noisy([0.60, 0.61, 0.62, 0.63, 0.64], 3)
    found = compare_rows(values, star_of(5, 3, 1))
    assert not found.variances.borrowed
    test = stats.ttest_rel(values[4], values[0])
    assert found.p[4, 0] == pytest.approx(min(1, 10 * test.pvalue))
    assert found.df[4, 0] == 2


def test_a_difference_that_is_the_same_in_every_run_borrows_no_variance() -> None:
    values, design = star()
    values[7] = values[0]
    found = compare_rows(values, design)
    gap = found.difference(0, 7)
    assert gap is not None
    assert (gap.mean, gap.interval, gap.sd) == (0.0, None, 0.0)


def test_rows_with_one_run_in_common_and_a_training_are_tested_by_the_variance_of_other_pairs() -> None:
    values, design = star(runs=4)
    values[7, 1:] = NAN
    found = compare_rows(values, design)
    variance, df = found.variances.of_kind[0]
    assert found.sd[0, 7] == pytest.approx(variance**0.5)
    gap = found.difference(7, 0)
    assert gap is not None
    assert (gap.mean, gap.n, gap.df) == (pytest.approx(values[7, 0] - values[0, 0]), 1, pytest.approx(df))
    assert gap.half == pytest.approx(stats.studentized_range.ppf(0.95, 8, df) * (variance / 2) ** 0.5)


# --- many runs, other machines --------------------------------------------------------------------------------------


def test_from_ten_runs_on_each_pair_has_its_own_variance_and_bonferronis_bound() -> None:
    values = noisy([0.60, 0.605, 0.61], 10)
    found = compare_rows(values)
    assert found.form == "each pair"
    test = stats.ttest_rel(values[2], values[0])
    assert found.p[2, 0] == pytest.approx(min(1, 3 * test.pvalue))
    interval = test.confidence_interval(1 - 0.05 / 3)
    assert (found.low[2, 0], found.high[2, 0]) == (pytest.approx(interval.low), pytest.approx(interval.high))


def test_rows_of_other_machines_are_compared_by_welchs_test() -> None:
    values = noisy([0.60, 0.62], 5)
    found = compare_rows(values, machines([[0] * 5, [1] * 5]))
    test = stats.ttest_ind(values[1], values[0], equal_var=False)
    interval = test.confidence_interval(0.95)
    assert found.p[1, 0] == pytest.approx(test.pvalue)
    assert (found.low[1, 0], found.high[1, 0]) == (pytest.approx(interval.low), pytest.approx(interval.high))


def test_runs_on_another_machine_do_not_hide_those_that_are_paired() -> None:
    values = noisy([0.60, 0.62], 5)
    some = machines([[0] * 5, [0, 0, 0, 1, 1]])
    found = compare_rows(values, some)
    assert found.p[1, 0] == pytest.approx(stats.ttest_rel(values[1, :3], values[0, :3]).pvalue, rel=2e-3)
    assert found.difference(1, 0).n == 3  # type: ignore[union-attr]
    assert [note.split(":")[0] for note in some.unpaired_notes(1, 0)] == [
        "paired only in the runs on one type of machine"
    ]


# --- the scale ------------------------------------------------------------------------------------------------------


def test_near_100_percent_rows_are_compared_on_the_scale_of_the_arcsine() -> None:
    # Of 1,000 images: one row at 99.9 % hardly varies, others at 97 % do. Seed 3.
    rng = np.random.default_rng(3)
    values = rng.binomial(1000, [[0.999], [0.97], [0.969], [0.965]], (4, 5)) / 1000
    found = compare_rows(values)
    assert found.scale.arcsine
    on_scale = compare_rows(np.arcsin(np.sqrt(values)))
    assert (found.significant == on_scale.significant).all()
    assert found.gaps[0, 1] == pytest.approx(values[0].mean() - values[1].mean())
    assert found.significant[0, 1]
    # Further from the end a unit of the scale is more points.
    assert found.high[2, 3] - found.low[2, 3] > found.high[0, 1] - found.low[0, 1]


def test_a_row_at_zero_is_no_error_and_no_interval_leaves_out_its_own_difference() -> None:
    values = np.array([[0.0, 0.0, 0.0], [0.01, 0.02, 0.0], [0.3, 0.33, 0.31]])
    found = compare_rows(values)
    assert found.scale.arcsine
    off = ~np.eye(3, dtype=bool)
    assert ((found.low <= found.gaps) & (found.gaps <= found.high))[off].all()
    assert found.places == [2, 2, 1]


def test_scores_that_are_no_fractions_are_compared_as_they_are() -> None:
    assert not compare_rows(np.array([[0.99, 1.2], [0.98, 1.1]])).scale.arcsine
    assert not compare_rows(noisy([0.5, 0.7], 3)).scale.arcsine


# --- means ----------------------------------------------------------------------------------------------------------


def test_the_interval_of_a_mean_covers_it_in_at_least_95_of_100() -> None:
    # 2,000 tables of 8 rows and 3 runs, whose runs vary as much as the rest: seed 0. Found: 97.0 %.
    rng, inside = np.random.default_rng(0), []
    for _ in range(2000):
        values = 0.6 + rng.normal(0, 0.01, 3) + rng.normal(0, 0.01, (8, 3))
        inside += [
            abs(one.mean - 0.6) <= one.half
            for one in mean_estimates(values, compare_rows(values))[:1]
            if one is not None and one.half is not None
        ]
    assert np.mean(inside) >= 0.945


# --- no contradictions ----------------------------------------------------------------------------------------------


@st.composite
def tables(draw: st.DrawFn) -> tuple[Array, RowDesign]:
    """Tables with effects, rows of unlike variance, equal rows, missing runs, shared trainings and other machines."""
    rows, runs = draw(st.integers(1, 9)), draw(st.sampled_from([1, 2, 3, 5, 6, 10, 12]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    level = draw(st.sampled_from([0.6, 0.97, 0.03]))
    means = rng.choice([0.0, 0.02, 0.1], rows) if draw(st.booleans()) else rng.normal(0.0, 0.1, rows)
    sd = rng.choice([0.0, 0.001, 0.01, 0.1], (rows, 1))
    values = np.clip(level + means[:, None] + rng.normal(0, 0.05, runs) + rng.normal(0, 1, (rows, runs)) * sd, 0, 1)
    values[rng.random((rows, runs)) < draw(st.sampled_from([0.0, 0.2, 0.6]))] = NAN
    share = draw(st.sampled_from([1, 1, 2, 3, 4]))
    design = star_of(rows, runs, 2) if share == 4 else design_of(rows, runs, share)
    numbers = rng.integers(0, 2, (rows, runs)) if draw(st.booleans()) else np.zeros((rows, runs), dtype=np.intp)
    if draw(st.booleans()):
        numbers = np.tile(numbers[:, :1], (1, runs))
    return values, RowDesign(blocks=np.arange(runs) + runs * numbers, kinds=design.kinds, machines=numbers)


def contradictions(values: Array, found: Comparisons) -> list[str]:
    """Return what a reader would find contradictory on a page with these marks."""
    rows = range(len(values))
    known = [row for row in rows if found.places[row] is not None]
    order = sorted(known, key=lambda row: -found.means[row])
    said = [
        "a rank without a number" for row in rows
        if (found.places[row] is None) != bool(np.isnan(values[row]).all())
    ]  # fmt: skip
    if known and found.places[order[0]] != 1:
        said.append("the first row is not among the best")
    for one in known:
        first, last = found.places[one], found.last_places[one]
        assert first is not None
        assert last is not None
        if not first <= order.index(one) + 1 <= last:
            said.append("a row stands outside of its ranks")
        for other in known:
            if one == other:
                continue
            gap, p = found.difference(one, other), found.p_of(one, other)
            mark = bool(found.significant[one, other])
            if mark != bool(found.significant[other, one]):
                said.append("a difference counts one way round only")
            if mark and (gap is None or gap.interval is None or gap.interval[0] <= 0 <= gap.interval[1]):
                said.append("significant with zero in the interval")
            if (
                not mark
                and gap is not None
                and gap.interval is not None
                and not gap.interval[0] <= 0 <= gap.interval[1]
            ):
                said.append("zero is outside of the interval, and not significant")
            if p is not None and mark != (p < LEVEL):
                said.append("p contradicts the mark")
            if mark and gap is not None and gap.mean > 0:
                if order.index(one) > order.index(other):
                    said.append("significantly better and further down")
                if first >= (found.places[other] or 0) or last >= (found.last_places[other] or 0):
                    said.append("significantly better with no better ranks")
    return said


@settings(max_examples=400, deadline=None)
@given(tables())
def test_no_two_marks_of_a_table_contradict_each_other(table: tuple[Array, RowDesign]) -> None:
    values, design = table
    assert contradictions(values, compare_rows(values, design)) == []
