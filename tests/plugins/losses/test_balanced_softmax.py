from __future__ import annotations

import math

import pytest
import torch
from plugins.checks import both_sizes, long_tail

from ltbench.planning.combinations import Combination
from ltbench_plugins.losses.balanced_softmax import BalancedSoftmax
from ltbench_plugins.losses.logit_adjust import LogitAdjust
from ltbench_plugins.samplers.cb_sampler import CbSampler


def test_by_hand() -> None:
    # 3 e^0 and 1 e^log(2): 3/5 and 2/5.
    logits = torch.tensor([[0.0, math.log(2)]]).expand(2, 2)
    losses = BalancedSoftmax().per_sample(logits, torch.tensor([0, 1]), torch.tensor([3, 1]))
    assert losses.tolist() == pytest.approx([-math.log(0.6), -math.log(0.4)])


@both_sizes
def test_it_is_logit_adjustment_with_tau_one(classes: int) -> None:
    logits, labels = torch.randn(20, classes, generator=torch.Generator().manual_seed(0)), torch.arange(20) % classes
    counts = long_tail(classes)
    expected = LogitAdjust(tau=1).per_sample(logits, labels, counts)
    torch.testing.assert_close(BalancedSoftmax().per_sample(logits, labels, counts), expected)


def test_a_balanced_sampler_along_with_it_is_noted() -> None:
    (note,) = Combination((CbSampler(), BalancedSoftmax())).notes
    assert note.startswith("balanced_softmax with cb_sampler: both correct the class prior")
