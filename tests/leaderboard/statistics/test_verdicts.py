from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ltbench.leaderboard.statistics.tests_and_intervals import LEVEL, holm, welch
from ltbench.leaderboard.statistics.verdicts import Machines, Verdicts, verdicts

NAN = float("nan")


def ranks(values: npt.NDArray[np.float64]) -> list[int | None]:
    return verdicts(values).places


def separated(values: npt.NDArray[np.float64], reference: int) -> npt.NDArray[np.bool_]:
    return np.array(verdicts(values, reference).separated)


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


def test_the_best_row_is_told_apart_with_a_correction_over_all_pairs() -> None:
    values = noisy([0.705, 0.65, 0.70], 8)
    found = verdicts(values)
    assert (found.best, found.apart, found.pairs) == (0, [False, True, False], 3)
    assert found.p_best[0] is None
    p = holm(np.array([stats.ttest_rel(values[i], values[j]).pvalue for i, j in ((0, 1), (0, 2), (2, 1))]))
    assert found.p_best[1:] == pytest.approx([min(p[0], p[2]), p[1]])


def test_among_equals_at_most_one_table_of_twenty_tells_a_row_from_the_best() -> None:
    # 300 tables of 12 equal rows and 4 runs, seeds 0 to 299. The best row, which the same numbers
    # chose, is no reference: with half of the weight on it there are more errors.
    tables = [noisy([0.7] * 12, 4, seed=seed) for seed in range(300)]
    assert np.mean([any(verdicts(values).apart) for values in tables]) <= 0.05 + 2 * (0.05 * 0.95 / 300) ** 0.5
    naive = [verdicts(values, int(np.argmax(values.mean(axis=1)))).separated for values in tables]
    assert np.mean([any(found) for found in naive]) > 0.03


def test_tests_against_the_reference_carry_half_of_the_weight() -> None:
    # Nine rows: eight tests against the reference, each at LEVEL / 16, and 28 others, each at LEVEL / 56.
    values = noisy([0.70] * 9, 5, seed=2)
    pairs = [(i, j) for i in range(9) for j in range(i + 1, 9)]
    p = np.array([stats.ttest_rel(values[i], values[j]).pvalue for i, j in pairs])
    weighted = dict(zip(pairs, holm(p, np.array([28 / 8 if 0 in pair else 1.0 for pair in pairs])), strict=True))
    found = verdicts(values, 0)
    assert found.level == pytest.approx(LEVEL / 56)
    assert all(found.p_reference[row] <= weighted[0, row] + 1e-12 for row in range(1, 9))
    assert min(found.p_reference[1:]) == pytest.approx(min(weighted[0, row] for row in range(1, 9)))


def test_what_follows_from_two_differences_counts() -> None:
    # Rows 0 and 2 share no run; both are told from row 1, which is between them.
    values = noisy([0.80, 0.75, 0.70], 10, sd=0.0005)
    values[0, 5:] = values[2, :5] = NAN
    found = verdicts(values, 2)
    assert found.pairs == 2
    assert (found.separated, found.places) == ([True, True, False], [1, 2, 3])
    assert found.p_reference[0] == max(found.p_reference[1], found.p_best[1])


def test_runs_of_other_machines_are_compared_by_welchs_test() -> None:
    values = noisy([0.60, 0.62], 5)
    types = np.array([[0] * 5, [0, 0, 1, 1, 1]])
    apart = Machines(types, np.array([[False, True], [True, False]]))
    alike = Machines(types, np.zeros((2, 2), dtype=bool))
    p = welch(values[1], values[0])[1]
    assert verdicts(values, 0, apart).p_reference == [None, pytest.approx(p)]
    assert verdicts(values, 0, alike).p_reference == verdicts(values, 0).p_reference != [None, pytest.approx(p)]


@st.composite
def tables(draw: st.DrawFn) -> npt.NDArray[np.float64]:
    """Tables with effects, rows of unlike variance, equal rows and missing runs."""
    rows, runs = draw(st.integers(1, 9)), draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    means = rng.choice([0.5, 0.52, 0.6], rows) if draw(st.booleans()) else rng.normal(0.6, 0.1, rows)
    sd = rng.choice([0.0, 0.001, 0.01, 0.1], (rows, 1))
    values = means[:, None] + rng.normal(0, 0.05, runs) + rng.normal(0, 1, (rows, runs)) * sd
    values[rng.random((rows, runs)) < draw(st.sampled_from([0.0, 0.2, 0.6]))] = NAN
    return np.asarray(values)


def contradictions(values: npt.NDArray[np.float64], base: int, found: Verdicts) -> list[str]:
    """Return what a reader would find contradictory on a page with these verdicts."""
    known = np.isfinite(values)
    means = [float(row[there].mean()) if there.any() else None for row, there in zip(values, known, strict=True)]
    said = []
    for row, (mean, place) in enumerate(zip(means, found.places, strict=True)):
        if mean is None or place is None or means[base] is None:
            said += ["a rank without a number"] * (place is not None and mean is None)
            continue
        other = found.places[base]
        if found.separated[row] and mean > means[base] and not (found.apart[base] and place < other):
            said.append("above the baseline, which may be the best or ranks as high")
        if found.separated[row] and mean < means[base] and not (found.apart[row] and place > other):
            said.append("below the baseline, and may be the best or ranks as high")
        if found.separated[row] and mean == means[base]:
            said.append("differs with the same mean")
        if found.apart[row] != (place > 1):
            said.append("rank 1 is not the same as may be the best")
        if found.separated[row] != ((found.p_reference[row] if found.p_reference[row] is not None else 1) < LEVEL):
            said.append("p contradicts the mark")
        if found.apart[row] != ((found.p_best[row] if found.p_best[row] is not None else 1) < LEVEL):
            said.append("p against the best contradicts the mark")
    if found.best is not None and found.apart[found.best]:
        said.append("some row is better than the best")
    return said


@settings(max_examples=400, deadline=None)
@given(tables(), st.data())
def test_no_two_marks_of_a_table_contradict_each_other(values: npt.NDArray[np.float64], data: st.DataObject) -> None:
    base = data.draw(st.integers(0, len(values) - 1))
    assert contradictions(values, base, verdicts(values, base)) == []
