from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from ltbench.racing.race import Cell, Race
from ltbench.racing.standing import Block, Dropped

Row = tuple[tuple[str, str], ...]
BASELINE: Row = ()
ONE: Row = (("loss", "focal"),)
SEEDS = [Block(100.0, (seed, seed)) for seed in range(3)]
FACTORIAL: list[Row] = [
    tuple(one for one in row if one)
    for row in itertools.product(*([None, (f"stage{i}", f"technique{i}")] for i in range(4)))
]
NOISE = [0.0007, -0.0012, 0.0004, 0.0011, -0.0006, -0.0003, 0.0009]
"""Of seven cells in turn: its mean is not zero in any block."""


def wobble(cell: Cell) -> float:
    return NOISE[(3 * cell[0] + 5 * cell[1]) % 7]


def run(
    race: Race, score: Callable[[Cell], float | None], most: int = 1000, order: int = 1, budget: int = 10_000
) -> list[Cell]:
    """Run a race to its end, or for a budget of cells; return the cells in the order in which they were asked for."""
    asked: list[Cell] = []
    waiting: list[Cell] = []
    while True:
        cells = race.ask(min(most, budget - len(asked)))
        asked += cells
        waiting += cells
        if not waiting:
            return asked
        if not cells or order == 1:
            for cell in waiting[::order]:
                race.tell(cell, score(cell))
            waiting = []


def test_of_two_rows_the_better_one_is_found() -> None:
    race = Race([BASELINE, ONE], SEEDS)
    asked = run(race, lambda cell: 0.70 + 0.05 * cell[0] + 0.01 * cell[1] + wobble(cell))
    assert sorted(asked) == [(row, block) for row in range(2) for block in range(3)]
    assert race.ended == "decided"
    assert race.best == 1
    baseline, one = race.standings()
    assert one.measured is not None
    assert one.measured.mean == pytest.approx(0.76 + sum(wobble((1, block)) for block in range(3)) / 3)
    # Three paired differences of about 5 points with a standard deviation of 0.1: significant by any test.
    assert baseline.dropped == Dropped("tests", 1)
    assert (one.places, baseline.places) == ((1, 1), (2, 2))


def test_where_low_is_good_the_other_one_is() -> None:
    race = Race([BASELINE, ONE], SEEDS, sign=-1)
    run(race, lambda cell: 0.70 + 0.05 * cell[0] + 0.01 * cell[1] + wobble(cell))
    assert race.best == 0
    assert [one.dropped for one in race.standings()] == [None, Dropped("tests", 0)]
    assert race.standings()[1].believed.mean == pytest.approx(0.76, abs=0.01)


def test_equal_rows_are_neither_dropped_nor_run_for_ever() -> None:
    blocks = [Block(100.0, (seed, seed)) for seed in range(40)]
    race = Race([BASELINE, ONE], blocks)
    asked = run(race, lambda cell: 0.70 + 0.01 * (cell[1] % 3) + wobble(cell))
    assert race.ended == "decided"
    assert len(asked) < 40
    assert [one.dropped for one in race.standings()] == [None, None]
    assert [one.places for one in race.standings()] == [(1, 2), (1, 2)]


def test_a_row_with_a_failed_cell_is_out_and_not_asked_for_again() -> None:
    rows = [BASELINE, ONE, (("loss", "ldam"),)]
    race = Race(rows, [Block(100.0, (seed, seed)) for seed in range(5)])
    asked = run(race, lambda cell: None if cell[0] == 1 else 0.6 + 0.1 * cell[0] + wobble(cell))
    assert sum(row == 1 for row, _ in asked) <= 3
    assert race.best == 2
    failed = race.standings()[1]
    assert (failed.dropped, failed.cells, failed.measured, failed.places) == (Dropped("failed"), 0, None, None)


def test_where_all_fail_there_is_no_best_row() -> None:
    race = Race([BASELINE, ONE], SEEDS)
    run(race, lambda _: None)
    assert race.best is None
    assert race.ended == "exhausted"
    assert {one.dropped for one in race.standings()} == {Dropped("failed")}


def test_all_are_dropped_but_one() -> None:
    rows: list[Row] = [(("loss", f"loss{i}"),) for i in range(5)]
    race = Race(rows, SEEDS)
    run(race, lambda cell: 0.5 + 0.1 * (cell[0] == 3) + wobble(cell))
    assert [one.dropped is None for one in race.standings()] == [False, False, False, True, False]
    assert race.best == 3


@pytest.mark.parametrize("rows", [[], [BASELINE]])
def test_a_race_of_none_or_one_ends(rows: list[Row]) -> None:
    race = Race(rows, SEEDS)
    assert len(run(race, lambda _: 0.5)) == 3 * len(rows)
    assert race.best == (0 if rows else None)


def test_a_race_needs_a_block() -> None:
    with pytest.raises(ValueError, match="block"):
        Race([BASELINE, ONE], [])


def score(cell: Cell) -> float:
    gains = {"technique0": 0.04, "technique1": -0.02, "technique2": 0.01, "technique3": 0.0}
    effect = sum(gains[label] for _, label in FACTORIAL[cell[0]])
    return 0.6 + effect * (1 + 0.2 * (cell[1] % 2)) - 0.1 * (cell[1] % 2) + wobble(cell)


BLOCKS = [Block(factor, (seed, seed)) for seed in range(4) for factor in (10.0, 100.0)]


@pytest.mark.parametrize(("most", "order"), [(1, 1), (2, -1), (5, 1), (1000, -1)])
def test_the_same_scores_lead_to_the_same_cells_on_any_number_of_workers(most: int, order: int) -> None:
    alone, together = Race(FACTORIAL, BLOCKS), Race(FACTORIAL, BLOCKS)
    expected = run(alone, score)
    assert run(together, score, most, order) == expected
    assert together.standings() == alone.standings()
    assert (together.best, together.ended) == (alone.best, alone.ended)


def test_a_search_pays_for_a_part_of_the_grid_and_reads_no_other_cell() -> None:
    race = Race(FACTORIAL, BLOCKS)
    paid: set[Cell] = set()

    def only_paid(cell: Cell) -> float:
        if cell in paid or cell not in asked:
            raise AssertionError(cell)
        paid.add(cell)
        return score(cell)

    asked: set[Cell] = set()
    while cells := race.ask(3):
        asked.update(cells)
        for cell in cells:
            race.tell(cell, only_paid(cell))
    assert race.best == FACTORIAL.index((("stage0", "technique0"), ("stage2", "technique2"))) or race.best == (
        FACTORIAL.index((("stage0", "technique0"), ("stage2", "technique2"), ("stage3", "technique3")))
    )
    assert len(paid) < len(FACTORIAL) * len(BLOCKS) / 2


def test_what_was_never_run_has_no_rank_and_no_measurement() -> None:
    race = Race(FACTORIAL, BLOCKS)
    asked = run(race, score, budget=25)
    cells = {row: sum(one == row for one, _ in asked) for row in range(16)}
    assert 0 in cells.values()
    for one in race.standings():
        assert one.cells == cells[one.row]
        if not one.cells:
            assert one.measured is None
            assert one.places is None
            assert one.dropped is None or one.dropped.why == "belief"
        assert one.believed.half > 0
    assert race.best is not None
    assert cells[race.best]


def test_a_row_is_measured_once_a_pair_of_seeds_has_a_score_at_every_factor() -> None:
    race = Race([BASELINE, ONE], [Block(10.0, (0, 0)), Block(100.0, (0, 0))])
    scores = {(0, 0): 0.8, (0, 1): 0.6, (1, 0): 0.9, (1, 1): 0.6}
    asked = race.ask(10)
    assert sorted(asked) == sorted(scores)
    for cell in asked[:-1]:
        race.tell(cell, scores[cell])
    lacking = asked[-1][0]
    assert [one.measured is None for one in race.standings()] == [row == lacking for row in (0, 1)]
    race.tell(asked[-1], scores[asked[-1]])
    means = [one.measured.mean for one in race.standings() if one.measured is not None]
    assert means == pytest.approx([0.7, 0.75])


def test_rows_of_one_training_are_tested_with_a_variance_of_their_own() -> None:
    rows = [BASELINE, (("view", "tta"),), ONE, (*ONE, ("view", "tta"))]
    blocks = [Block(100.0, (seed, seed)) for seed in range(6)]
    # A training scatters by points, its other view is better by half a point, give or take a tenth.
    training = [[0, 3, -2, 1, -3, 2], [2, -3, 1, -2, 3, -1]]

    def of(cell: Cell) -> float:
        row, block = cell
        return 0.7 + training[row // 2][block] / 100 + (row % 2) * (0.005 + 0.001 * (-1) ** (block + row // 2))

    def dropped(trainings: list[str] | None) -> Dropped | None:
        race = Race(rows, blocks, trainings=trainings)
        cells = [(row, block) for row in range(4) for block in range(6)]
        for cell in cells:
            race.tell(cell, of(cell))
        return race.standings()[0].dropped

    assert dropped(["plain", "plain", "focal", "focal"]) == Dropped("tests", 1)
    assert dropped(None) != Dropped("tests", 1)


def test_a_cell_that_came_along_is_not_asked_for() -> None:
    race = Race([BASELINE, ONE], SEEDS)
    (first,) = race.ask(1)
    queued = race.ask(100)
    again = Race([BASELINE, ONE], SEEDS)
    assert again.ask(1) == [first]
    again.tell(queued[0], 0.5)
    assert again.ask(100) == queued[1:]


def test_it_takes_each_cell_once_and_only_finite_scores() -> None:
    race = Race([BASELINE, ONE], SEEDS)
    cell = race.ask(1)[0]
    with pytest.raises(ValueError, match="nan"):
        race.tell(cell, float("nan"))
    race.tell(cell, 0.5)
    with pytest.raises(ValueError, match="twice"):
        race.tell(cell, 0.5)


def test_rows_and_blocks_are_in_a_race_once() -> None:
    swapped = [(("loss", "focal"), ("mix", "mixup")), (("mix", "mixup"), ("loss", "focal"))]
    with pytest.raises(ValueError, match="once"):
        Race(swapped, SEEDS)
    with pytest.raises(ValueError, match="once"):
        Race([BASELINE, ONE], [SEEDS[0], SEEDS[0]])
