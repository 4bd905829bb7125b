from __future__ import annotations

import math

import pytest
import torch
from plugins.checks import both_sizes, long_tail

from ltbench_plugins.losses.cross_entropy import CrossEntropy
from ltbench_plugins.losses.logit_adjust import LogitAdjust
from ltbench_plugins.losses.vs import Vs


def test_by_hand() -> None:
    # Counts 4, 1 and gamma = 1/2 scale by 1 and 1/2, so logits 1 and 2 are both 1; the prior is 4/5, 1/5.
    logits, labels, counts = torch.tensor([[1.0, 2.0]]).expand(2, 2), torch.tensor([0, 1]), torch.tensor([4, 1])
    losses = Vs(gamma=0.5, tau=0).per_sample(logits, labels, counts)
    assert losses.tolist() == pytest.approx([math.log(2)] * 2)
    losses = Vs(gamma=0.5, tau=1).per_sample(logits, labels, counts)
    assert losses.tolist() == pytest.approx([-math.log(0.8), -math.log(0.2)])


@both_sizes
def test_gamma_zero_is_logit_adjustment(classes: int) -> None:
    logits, labels = torch.randn(20, classes, generator=torch.Generator().manual_seed(0)), torch.arange(20) % classes
    counts = long_tail(classes)
    expected = LogitAdjust(tau=1.25).per_sample(logits, labels, counts)
    torch.testing.assert_close(Vs(gamma=0, tau=1.25).per_sample(logits, labels, counts), expected)


def test_both_zero_is_cross_entropy() -> None:
    logits, labels = torch.randn(20, 4, generator=torch.Generator().manual_seed(0)), torch.arange(20) % 4
    counts = long_tail(4)
    expected = CrossEntropy().per_sample(logits, labels, counts)
    torch.testing.assert_close(Vs(gamma=0, tau=0).per_sample(logits, labels, counts), expected)
