from __future__ import annotations

from ltbench import Phase
from ltbench_plugins.regimes.one_stage import OneStage


def test_everything_is_on_all_the_time() -> None:
    assert OneStage().phases() == [Phase(until=1.0)]
    phase = OneStage().phases()[0]
    assert all((phase.sampler, phase.augment, phase.mix, phase.loss, phase.weight))
    assert phase.trainable == "all"
