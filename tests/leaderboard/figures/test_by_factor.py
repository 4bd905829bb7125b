"""The figure of a page's answer: numbers of the table, few series, labels beside their lines."""

from __future__ import annotations

import random
from typing import Any

import pytest
import synthetic

from ltbench.leaderboard.figures import place_figures
from ltbench.leaderboard.figures.by_factor import spaced
from ltbench.leaderboard.figures.canvas import Drawing, svg
from ltbench.leaderboard.figures.line_labels import spread_out
from ltbench.leaderboard.figures.series import MOST, point
from ltbench.leaderboard.statistics.estimates import Estimate
from ltbench.leaderboard.suite_facts import SuiteFacts
from ltbench.leaderboard.tables.cell_text import half_text, percent
from ltbench.leaderboard.tables.table import make_boards

FACTS = SuiteFacts(name="s", figures=("bars",))


def main_figure(records: Any, facts: SuiteFacts = FACTS) -> Drawing:
    ((drawing,),) = [group.drawings for group in place_figures(facts, records) if group.drawings[0].kind == "bars"]
    return drawing


def test_a_figure_has_the_means_and_intervals_of_the_tables() -> None:
    records = synthetic.suite(factors=(10.0, 100.0), seeds=(0, 1, 2))
    data = main_figure(records).data
    (board,) = make_boards(records)
    lines = {line.name: line for line in data.lines}
    for place, table in enumerate(board.tables):
        for row in table.rows:
            if row.label in lines:
                found, said = lines[row.label].points[place], row.scores["top1"]
                assert said is not None
                assert said.interval is not None
                assert (found.mean, found.low, found.high) == pytest.approx((said.mean, *said.interval), abs=1e-8)
    assert data.seeds == "3 seeds"


def test_a_figure_shows_the_reference_each_single_technique_and_the_best_combination() -> None:
    records = synthetic.suite(factors=(10.0, 100.0), seeds=(0, 1, 2))
    (board,) = make_boards(records)
    assert board.across is not None
    names = [line.name for line in main_figure(records).data.lines]
    best = board.across.rows[0].label
    assert names[0] == "baseline"
    assert set(names) == {"baseline", "cb_sampler", "mixup", "label_smooth", "tta", best}


def test_of_many_techniques_those_of_the_largest_difference_are_shown() -> None:
    made = [synthetic.record({"loss": f"l{i}"} if i else {}, 10.0, seed, {"top1": 0.5 + 0.01 * i + seed / 1000})
            for i in range(12) for seed in (0, 1)]  # fmt: skip
    names = [line.name for line in main_figure(made).data.lines]
    assert len(names) == MOST
    assert set(names) == {"baseline", *(f"l{i}" for i in range(6, 12))}


def test_a_suite_without_single_techniques_shows_the_next_best() -> None:
    made = [synthetic.record({"loss": f"l{i}", "mix": "mixup"}, 10.0, 0, {"top1": 0.5 + 0.01 * i}) for i in range(9)]
    assert [line.name for line in main_figure(made).data.lines] == [f"mixup + l{i}" for i in range(4, 9)]


def test_labels_stay_at_their_lines_where_there_is_room() -> None:
    assert spread_out([10.0, 50.0], [10.0, 10.0], 0.0, 100.0) == [10.0, 50.0]
    moved = spread_out([50.0, 50.0, 51.0], [10.0, 20.0, 10.0], 0.0, 100.0)
    assert moved[1] - moved[0] >= 15
    assert moved[2] - moved[1] >= 15
    assert sum(moved) == pytest.approx(151, abs=1)
    low = spread_out([1.0, 2.0], [10.0, 10.0], 0.0, 100.0)
    assert low[0] >= 5
    assert low[1] - low[0] >= 10
    high = spread_out([98.0, 99.0], [10.0, 10.0], 0.0, 100.0)
    assert high[1] <= 95
    assert high[1] - high[0] >= 10


def test_near_factors_share_a_tick() -> None:
    assert spaced([10.0, 50.0, 100.0]) == [10.0, 50.0, 100.0]
    assert spaced([1.0, 99.0, 100.0]) == [1.0, 100.0]


def test_a_figure_is_the_same_bytes_again_and_in_any_order_and_has_a_white_background() -> None:
    records = synthetic.suite(factors=(10.0, 100.0), seeds=(0, 1, 2))
    first = svg(main_figure(records))
    random.Random(3).shuffle(records)
    assert svg(main_figure(records)) == first
    background = first.partition('<g id="patch_1">')[2].partition("</g>")[0]
    assert "fill: #ffffff" in background


def test_an_interval_that_is_not_symmetric_is_drawn_so() -> None:
    found = point(Estimate(0.97, None, None, 3, ends=(0.94, 0.98)))
    assert found is not None
    assert found.bars(100) == [[pytest.approx(3.0)], [pytest.approx(1.0)]]
    alone = point(Estimate(0.97, None, None, 1))
    assert alone is not None
    assert alone.bars(100) is None


def test_of_a_single_factor_the_figure_has_the_numbers_as_the_table_writes_them() -> None:
    records = synthetic.suite(factors=(100.0,), seeds=(0, 1, 2))
    (board,) = make_boards(records)
    drawing = main_figure(records)
    assert "Top-1 accuracy at imbalance factor 100 (mean" in svg(drawing)
    lines = {line.name: line.text for line in drawing.data.lines}
    said = {row.label: row.scores["top1"] for row in board.tables[0].rows}
    assert all(text == f"{percent(said[name].mean)}{half_text(said[name])}" for name, text in lines.items())  # type: ignore[union-attr,arg-type]


def test_a_missing_cell_leaves_a_gap_and_other_pairs_of_seeds_are_named_so() -> None:
    made = [synthetic.record({}, factor, 0) for factor in (10.0, 100.0)]
    made.append(synthetic.record({"mix": "mixup"}, 100.0, 0))
    data = main_figure(made).data
    assert [[one is not None for one in line.points] for line in data.lines] == [[True, True], [False, True]]
    assert data.seeds == "1 seed"
    assert "mixup" in svg(main_figure(made))
