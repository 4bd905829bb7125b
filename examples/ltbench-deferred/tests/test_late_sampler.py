from __future__ import annotations

from ltbench.planning.combinations import Combination, reason_left_out
from ltbench.registry.registry import Registry
from ltbench.testing import checks

from ltbench_deferred.late_sampler import LateSampler

test_late_sampler = checks(LateSampler)


def test_the_sampler_is_off_until_epoch_160_of_200() -> None:
    first, last = LateSampler().phases()
    assert (first.until * 200, first.sampler) == (160, False)
    assert (last.until, last.sampler) == (1.0, True)


def test_nothing_else_changes_and_nothing_begins_anew() -> None:
    for phase in LateSampler(at=0.5).phases():
        assert phase.loss
        assert phase.weight
        assert phase.mix
        assert phase.augment
        assert phase.trainable == "all"
        assert not phase.restart
        assert phase.lr_scale == 1


def test_without_a_sampler_it_is_left_out() -> None:
    sampler = next(kind() for kind in Registry.load().of("sampler").values() if not kind.baseline)
    assert "nothing to defer" in reason_left_out(Combination((LateSampler(),)))
    assert reason_left_out(Combination((sampler, LateSampler()))) == ""
