from __future__ import annotations

from ltbench import Phase
from ltbench.planning.combinations import Combination, reason_left_out
from ltbench_plugins.regimes.drw import Drw
from ltbench_plugins.weights.ens import Ens


def test_the_weights_come_on_late_and_nothing_else_changes() -> None:
    assert Drw().phases() == [Phase(until=0.8, weight=False), Phase(until=1.0)]  # 160 of 200 epochs
    assert Drw(at=0.5).phases()[0].until == 0.5


def test_without_a_weight_it_is_left_out_with_the_reason() -> None:
    assert reason_left_out(Combination((Drw(),))) == (
        "drw needs a technique of stage weight: there is nothing to defer without class weights"
    )
    assert reason_left_out(Combination((Ens(), Drw()))) == ""
