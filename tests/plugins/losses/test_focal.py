from __future__ import annotations

import math

import pytest
import torch

from ltbench.testing import checks
from ltbench_plugins.losses.focal import Focal

COUNTS = torch.tensor([9, 1])

test_it_conforms = checks(Focal(gamma=0.5))


def test_by_hand() -> None:
    # p = 1/2: (1/2)^2 log 2. p = 0.9: 0.1^2 * -log 0.9.
    logits = torch.tensor([[0.0, 0.0], [math.log(9), 0.0]])
    losses = Focal(gamma=2).per_sample(logits, torch.tensor([1, 0]), COUNTS)
    assert losses.tolist() == pytest.approx([math.log(2) / 4, 0.01 * -math.log(0.9)], rel=1e-5)


def test_the_gradient_is_finite_where_the_probability_is_one() -> None:
    # The derivative of (1 - p) ** 0.5 is infinite at p = 1.
    logits = torch.tensor([[200.0, 0.0]], requires_grad=True)
    Focal(gamma=0.5).per_sample(logits, torch.tensor([0]), COUNTS).sum().backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_the_gradient_is_the_one_of_the_formula() -> None:
    labels = torch.arange(6) % 3
    logits = torch.randn(6, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    torch.autograd.gradcheck(lambda z: Focal(gamma=1.5).per_sample(z, labels, COUNTS), logits)
    p = logits.softmax(1).gather(1, labels[:, None]).squeeze(1)
    torch.testing.assert_close(Focal(gamma=1.5).per_sample(logits, labels, COUNTS), -((1 - p) ** 1.5) * p.log())
