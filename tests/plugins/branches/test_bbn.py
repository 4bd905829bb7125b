from __future__ import annotations

import math

import pytest
import torch
from plugins.experts import LOGITS, moment

from ltbench import Mixed, Outputs
from ltbench.engine.objective import make_objective
from ltbench.planning.combinations import Combination
from ltbench.registry.registry import Registry
from ltbench_plugins.branches.bbn import Bbn
from ltbench_plugins.losses.cross_entropy import CrossEntropy

TWO = torch.tensor([[[2.0, 0.0]], [[0.0, 4.0]]])


def test_the_share_falls_with_the_square_of_the_epochs_that_have_ended() -> None:
    assert [Bbn().share(moment(progress)) for progress in (0, 0.5, 0.9)] == pytest.approx([1, 0.75, 0.19])


def test_logits_merge_by_the_share_in_training_and_equally_at_test_time() -> None:
    # alpha = 0.75: 0.75 (2, 0) + 0.25 (0, 4) = (1.5, 1).
    assert Bbn().merge_at(TWO, moment(0.5)).tolist() == [[1.5, 1.0]]
    assert Bbn(factor=2).merge_at(TWO, moment(0.5)).tolist() == [[3.0, 2.0]]
    assert Bbn().merge(TWO).tolist() == [[1.0, 2.0]]
    assert Bbn(factor=2).merge(TWO.numpy()).tolist() == [[2.0, 4.0]]


def test_the_loss_is_that_of_both_labels_by_their_shares() -> None:
    now = moment(0.5)
    merged = Bbn().merge_at(TWO, now)
    outputs = Outputs(logits=merged, branches=merged[None], features=None, layers=())
    batch = Mixed(
        images=None,
        labels_a=torch.tensor([0]),
        labels_b=torch.tensor([1]),
        lam=torch.tensor([Bbn().share(now)]),
    )
    loss = make_objective(CrossEntropy(), None, torch.tensor([9, 1]))(outputs, batch, now)
    # Of the logits (1.5, 1): -log p_0 = log(1 + exp(-0.5)), -log p_1 = log(1 + exp(0.5)).
    expected = 0.75 * math.log1p(math.exp(-0.5)) + 0.25 * math.log1p(math.exp(0.5))
    assert float(loss) == pytest.approx(expected)


def test_at_the_start_it_is_the_network_of_the_first_branch() -> None:
    assert torch.equal(Bbn().merge_at(torch.as_tensor(LOGITS[:2]), moment()), torch.as_tensor(LOGITS[0]))
    assert Bbn().shared(4) == 3
    assert Bbn().number() == 2


def test_a_second_correction_of_the_class_prior_is_noted(registry: Registry) -> None:
    def notes(*names: str) -> list[str]:
        return Combination(tuple(registry.parse(name) for name in names)).notes

    for other in ("cb_sampler", "logit_adjust", "logit_adjust_posthoc"):
        assert len(notes("bbn", other)) == 1
    assert notes("bbn", "focal") == []
