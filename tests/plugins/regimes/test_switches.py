"""Regimes that switch something on or off: `drs`, `deferred_mix`; and the cycles of `snapshot`."""

from __future__ import annotations

import math

import pytest

from ltbench import Phase
from ltbench.engine.schedule import learning_rates, spans
from ltbench.planning.combinations import Combination, reason_left_out
from ltbench.suite.recipe import Recipe
from ltbench_plugins.mixes.mixup import Mixup
from ltbench_plugins.regimes.deferred_mix import DeferredMix
from ltbench_plugins.regimes.drs import Drs
from ltbench_plugins.regimes.snapshot import Snapshot
from ltbench_plugins.samplers.cb_sampler import CbSampler


def test_the_sampler_comes_on_at_epoch_160_of_200() -> None:
    assert Drs().phases() == [Phase(until=0.8, sampler=False), Phase(until=1.0)]
    assert Drs(at=0.5).phases()[0].until == 0.5
    assert "nothing to defer without a sampler" in reason_left_out(Combination((Drs(),)))
    assert reason_left_out(Combination((CbSampler(), Drs()))) == ""


def test_the_mix_is_in_one_part_of_the_training() -> None:
    assert DeferredMix().phases() == [Phase(until=0.9, mix=True), Phase(until=1.0, mix=False)]
    assert DeferredMix(at=0.5, part="last").phases() == [Phase(until=0.5, mix=False), Phase(until=1.0, mix=True)]
    assert "nothing to switch without a mix" in reason_left_out(Combination((DeferredMix(),)))
    assert reason_left_out(Combination((Mixup(), DeferredMix()))) == ""


@pytest.mark.parametrize("cycles", [2, 5, 6])
def test_the_cycles_have_the_rates_of_the_equation(cycles: int) -> None:
    # Huang et al., equation 2, with t from 1: a(t) = a0 / 2 (cos(pi mod(t - 1, T / M) / (T / M)) + 1).
    total, lr = 120, 0.2
    recipe = Recipe(steps=total, lr=lr, schedule="cosine", precision="fp32")
    phases = Snapshot(cycles=cycles).phases()
    assert all(phase.restart for phase in phases)
    parts = spans(recipe, [phase.until for phase in phases], [1] * cycles)
    rates = [rate for part in parts for rate in learning_rates(recipe, part, restart=True, scale=1.0)]
    length = total // cycles
    expected = [lr / 2 * (math.cos(math.pi * ((t - 1) % length) / length) + 1) for t in range(1, total + 1)]
    assert rates == pytest.approx(expected)
    assert rates != pytest.approx(learning_rates(recipe, spans(recipe, [1.0], [1])[0], restart=False, scale=1.0))
