from __future__ import annotations

import math

import pytest
import torch
from plugins.checks import generator
from torch.nn import functional as F

from ltbench_plugins.losses.cross_entropy import CrossEntropy

COUNTS = torch.tensor([5, 1, 1])


def test_by_hand() -> None:
    logits = torch.tensor([[math.log(2.0), 0.0, 0.0], [0.0, 0.0, 0.0]])  # probabilities 1/2, 1/4, 1/4 and thirds
    losses = CrossEntropy().per_sample(logits, torch.tensor([1, 2]), COUNTS)
    assert losses.tolist() == pytest.approx([math.log(4), math.log(3)])


def test_it_equals_torch() -> None:
    logits, labels = torch.randn(50, 7, generator=generator()), torch.arange(50) % 7
    torch.testing.assert_close(
        CrossEntropy().per_sample(logits, labels, COUNTS), F.cross_entropy(logits, labels, reduction="none")
    )
