"""What the comparisons of a table are worth, by simulation: error rate, coverage and power.

The share of tables that a test allows is what it promises plus two standard errors of the simulation. Found rates, and those
of designs for which nothing is promised, are in docs/reading-a-leaderboard.md (`python tests/error_rates.py` prints them).
"""

from __future__ import annotations

import numpy as np
import pytest
from error_rates import coverage, error_rate, power_on_quick
from quick_scores import BALANCED, BASELINE, LABELS, MIXED, PLAIN, quick_design, quick_scores

from ltbench.leaderboard.statistics.comparisons import compare_rows
from ltbench.leaderboard.statistics.row_design import RowDesign

TABLES = 500


def allowed(tables: int, promised: float = 0.05) -> float:
    """Return the promised rate plus two standard errors of a simulation."""
    return promised + 2 * (promised * (1 - promised) / tables) ** 0.5


@pytest.mark.slow
@pytest.mark.parametrize("blocks", [3, 5, 10])
@pytest.mark.parametrize("rows", [2, 3, 8, 16, 64])
def test_among_equal_rows_at_most_one_table_of_twenty_has_a_difference(rows: int, blocks: int) -> None:
    assert error_rate(rows, blocks, tables=TABLES, seed=10 * rows + blocks) <= allowed(TABLES)


@pytest.mark.slow
@pytest.mark.parametrize("blocks", [10, 15])
@pytest.mark.parametrize("rows", [2, 4, 16, 64])
def test_from_ten_blocks_on_unequal_variances_make_no_more_errors(rows: int, blocks: int) -> None:
    # Half of the rows have four times the variance of the others.
    assert error_rate(rows, blocks, tables=TABLES, ratio=4, seed=rows + blocks) <= allowed(TABLES)


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "views"), [(16, 2), (16, 4), (8, 8), (24, 3)])
@pytest.mark.parametrize("correlation", [0.0, 0.9])
def test_rows_that_share_trainings_make_no_more_errors(rows: int, views: int, correlation: float) -> None:
    rate = error_rate(rows, 3, tables=TABLES, views=views, correlation=correlation, seed=rows + views)
    assert rate <= allowed(TABLES)


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "blocks", "every"), [(97, 5, 5), (30, 3, 3)])
@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.9])
def test_rows_of_one_training_that_differ_each_in_its_own_way_make_no_more_errors(
    rows: int, blocks: int, every: int, correlation: float
) -> None:
    rate = error_rate(rows, blocks, tables=TABLES, every=every, correlation=correlation, seed=rows)
    assert rate <= allowed(TABLES)


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "blocks", "missing"), [(16, 3, 0.1), (8, 5, 0.3), (8, 10, 0.2)])
def test_missing_cells_make_no_more_errors(rows: int, blocks: int, missing: float) -> None:
    assert error_rate(rows, blocks, tables=TABLES, missing=missing, seed=rows) <= allowed(TABLES)


@pytest.mark.parametrize(("rows", "blocks"), [(8, 3), (16, 5)])
def test_rows_of_two_types_of_machines_make_no_more_errors(rows: int, blocks: int) -> None:
    assert error_rate(rows, blocks, tables=400, machines=2, seed=rows) <= allowed(400)


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "blocks"), [(4, 3), (16, 3), (16, 5), (64, 3), (16, 10)])
def test_all_intervals_of_a_table_cover_the_truth_together(rows: int, blocks: int) -> None:
    assert coverage(rows, blocks, tables=TABLES, seed=rows) >= 1 - allowed(TABLES, 0.06)


def test_the_power_on_the_effects_of_quick() -> None:
    # 300 tables of 16 rows and 3 seeds with the means of `quick` and its two residual SDs, seed 0.
    above, below = power_on_quick(tables=300, seed=0)
    assert min(above.values()) >= 0.99
    assert min(below.values()) >= 0.85


def test_the_page_of_quick_separates_what_the_simulation_says() -> None:
    found = compare_rows(quick_scores(), quick_design())
    assert found.form == "by kind"
    assert all(found.low[row, BASELINE] > 0 and found.p[row, BASELINE] < 1e-3 for row in BALANCED)
    assert all(found.high[row, BASELINE] < 0 and found.p[row, BASELINE] < 0.01 for row in MIXED)
    ranks = {label: (found.places[row], found.last_places[row]) for row, label in enumerate(LABELS)}
    assert {ranks[LABELS[row]] for row in BALANCED} == {(1, 8)}
    assert {ranks[LABELS[row]] for row in PLAIN} == {(9, 12)}
    assert {ranks[LABELS[row]] for row in MIXED} == {(13, 16)}


def test_the_residual_of_quick_is_that_of_an_analysis_of_variance() -> None:
    # Without shared trainings: SD 0.73 points with 30 degrees of freedom.
    found = compare_rows(quick_scores(), RowDesign.paired(16, 3))
    assert found.model.df == 30
    assert found.sd[0, 1] / 2**0.5 == pytest.approx(0.00725, abs=5e-5)
    assert np.nanmax(found.p[BALANCED, BASELINE]) < 2e-5
    assert np.nanmax(found.p[MIXED, BASELINE]) < 6e-4
