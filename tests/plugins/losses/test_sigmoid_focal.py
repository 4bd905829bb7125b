from __future__ import annotations

import math

import pytest
import torch
from plugins.checks import both_sizes

from ltbench.testing import checks
from ltbench_plugins.losses.sigmoid_focal import SigmoidFocal

COUNTS = torch.tensor([9, 1])

test_it_conforms = checks(SigmoidFocal(gamma=0.5))


def test_by_hand() -> None:
    # Logits (1, -1), label 0: both answers are right with p = sigmoid(1) = 0.731059, so twice 0.268941^2 * 0.313262.
    # The same with label 1: both are wrong with p = 0.268941, so twice 0.731059^2 * 1.313262.
    logits = torch.tensor([[1.0, -1.0], [1.0, -1.0]])
    losses = SigmoidFocal(gamma=2).per_sample(logits, torch.tensor([0, 1]), COUNTS)
    assert losses.tolist() == pytest.approx([0.045316, 1.403737], abs=2e-6)


@both_sizes
def test_gamma_zero_is_the_sum_of_binary_cross_entropies(classes: int) -> None:
    logits = 5 * torch.randn(20, classes, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(20) % classes
    one_hot = torch.nn.functional.one_hot(labels, classes).float()
    expected = torch.nn.functional.binary_cross_entropy_with_logits(logits, one_hot, reduction="none").sum(1)
    torch.testing.assert_close(SigmoidFocal(gamma=0).per_sample(logits, labels, COUNTS), expected)


def test_it_is_torchvisions_without_alpha() -> None:
    from torchvision.ops import sigmoid_focal_loss

    logits = torch.randn(20, 7, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(20) % 7
    one_hot = torch.nn.functional.one_hot(labels, 7).float()
    expected = sigmoid_focal_loss(logits, one_hot, alpha=-1, gamma=1.5).sum(1)
    torch.testing.assert_close(SigmoidFocal(gamma=1.5).per_sample(logits, labels, COUNTS), expected)


def test_at_the_start_it_is_a_known_multiple_of_log_two() -> None:
    loss = SigmoidFocal(gamma=2).per_sample(torch.zeros(1, 100), torch.tensor([3]), COUNTS)
    assert float(loss) == pytest.approx(100 * math.log(2) / 4, rel=1e-5)
