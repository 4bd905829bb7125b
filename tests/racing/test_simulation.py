from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "simulate_search.py"
SPEC = importlib.util.spec_from_file_location("simulate_search", SCRIPT)
assert SPEC
assert SPEC.loader
simulation = importlib.util.module_from_spec(SPEC)
# Its worlds are pickled by the name of the module.
sys.modules["simulate_search"] = simulation
SPEC.loader.exec_module(simulation)


@pytest.mark.parametrize("procedure", sorted(set(simulation.PROCEDURES) - {"whole grid"}))
def test_no_procedure_asks_for_more_cells_than_it_may(procedure: str) -> None:
    world = simulation.BOARDS[0].draw(np.random.default_rng(0))
    paid = simulation.Paid(world, 21)
    assert 0 <= simulation.PROCEDURES[procedure](paid, np.random.default_rng(1)) < 16
    assert 18 <= paid.count <= 21


def test_more_cells_than_allowed_are_refused() -> None:
    paid = simulation.Paid(simulation.BOARDS[0].draw(np.random.default_rng(0)), 1)
    assert paid((0, 0)) == paid((0, 0)) == paid.world.scores[0, 0]
    with pytest.raises(RuntimeError, match="more cells"):
        paid((0, 1))


def test_the_search_depends_on_no_score_that_it_did_not_ask_for() -> None:
    world = simulation.BOARDS[0].draw(np.random.default_rng(0))
    paid = simulation.Paid(world, 21)
    best = simulation.search(paid, np.random.default_rng(0))
    hidden = simulation.Paid(world._replace(scores=np.where(np.isfinite(paid.values), world.scores, np.nan)), 21)
    assert simulation.search(hidden, np.random.default_rng(0)) == best
    assert np.array_equal(hidden.values, paid.values, equal_nan=True)


def test_the_noise_of_a_board_has_the_variance_of_its_additive_model() -> None:
    values = simulation.board("quick").values
    _, of_cells = simulation.noise("quick")
    for factor in range(3):
        table = values[:, factor]
        rest = table - table.mean(axis=1, keepdims=True) - table.mean(axis=0) + table.mean()
        assert (of_cells[factor] ** 2).mean() == pytest.approx((rest**2).sum() / (15 * 2))


def test_repetitions_have_one_truth_and_other_noise() -> None:
    first, second = (simulation.BOARDS[0].draw(np.random.default_rng(seed)) for seed in (0, 1))
    assert np.array_equal(first.truth, second.truth)
    assert first.truth == pytest.approx(simulation.board("quick").values.mean(axis=2))
    assert not np.isclose(first.scores, second.scores).all()
