"""When the first half of a training is enough to give a row up."""

from __future__ import annotations

import itertools
import random

import pytest

from ltbench.racing.halves import CARRIES, LEAST, Halves


def filled(pairs: list[tuple[float, float]], block: int = 0) -> Halves:
    halves = Halves()
    for row, (half, end) in enumerate(pairs):
        halves.add(row, block, half=half)
        halves.add(row, block, end=end)
    return halves


def test_too_few_rows_say_nothing() -> None:
    halves = filled([(0.1 * row, 0.1 * row) for row in range(LEAST - 1)])
    assert halves.verdict() is None
    assert str(halves) == ""
    assert not halves.surely_worse(0, 0, LEAST - 2)


def test_equal_ranks_carry_over_and_the_line_is_that_of_the_scores() -> None:
    halves = filled([(0.1 * row, 0.2 + 0.05 * row) for row in range(12)])
    verdict = halves.verdict()
    assert verdict is not None
    assert verdict.carries
    assert (verdict.rows, verdict.correlation) == (12, pytest.approx(1.0))
    assert (verdict.slope, verdict.error) == (pytest.approx(0.5), pytest.approx(0.0, abs=1e-9))
    assert halves.surely_worse(0, 0, 11)
    assert not halves.surely_worse(11, 0, 0)
    assert "were not trained to the end" in str(halves)


def test_where_low_scores_are_good_high_ones_are_worse() -> None:
    halves = Halves(sign=-1)
    for row in range(12):
        halves.add(row, 0, half=0.1 * row, end=0.2 + 0.05 * row)
    assert halves.surely_worse(11, 0, 0)
    assert not halves.surely_worse(0, 0, 11)


def test_reversed_and_random_ranks_do_not() -> None:
    reverse = filled([(row / 20, 1 - row / 20) for row in range(20)])
    assert not reverse.verdict().carries
    assert not reverse.surely_worse(0, 0, 19)
    draw = random.Random(0)
    unrelated = filled([(draw.random(), draw.random()) for _ in range(40)])
    assert not unrelated.verdict().carries
    assert "too little to stop any row half-way" in str(unrelated)


def test_a_middling_correlation_of_few_rows_is_not_sure() -> None:
    pairs = [(0, 1), (1, 0), (2, 3), (3, 2), (4, 5), (5, 4), (6, 7), (7, 6), (8, 8)]
    few = filled([(half / 10, end / 10) for half, end in pairs]).verdict()
    assert few.correlation > 0.9
    # By hand: 8 differences of one rank, so 1 - 6 * 8 / (9 * 80), and tanh(ln(29) / 2 - 1.96 / sqrt(6)).
    assert few.correlation == pytest.approx(1 - 48 / 720)
    assert few.low == pytest.approx(0.7082, abs=5e-5)
    assert few.carries is (few.low >= CARRIES)


def test_what_the_rows_of_a_block_have_in_common_is_no_rank() -> None:
    halves = Halves()
    draw = random.Random(1)
    # Ten blocks of two rows: blocks differ widely, rows within a block by chance alone.
    for block, row in itertools.product(range(10), range(2)):
        halves.add(row, block, half=block / 10 + draw.random() / 100, end=block / 10 + draw.random() / 100)
    assert abs(halves.verdict().correlation) < 0.9
    assert not halves.verdict().carries


def test_a_row_near_the_leader_goes_on() -> None:
    draw = random.Random(2)
    halves = filled([(row / 30, row / 30 + draw.gauss(0, 0.02)) for row in range(30)])
    assert halves.verdict().carries
    assert halves.surely_worse(0, 0, 29)
    assert not halves.surely_worse(28, 0, 29)
    halves.add("new", 0, half=0.1)
    assert halves.surely_worse("new", 0, 29)
    assert not halves.surely_worse("unseen", 0, 29)
    assert not halves.surely_worse("new", 1, 29), "the leader was not run in this block"


def test_equal_scores_tell_nothing() -> None:
    verdict = filled([(0.5, row / 20) for row in range(20)]).verdict()
    assert not verdict.carries
