from __future__ import annotations

import math

import pytest
import torch
from ltbench.testing import checks

from ltbench_gmean.poly1 import Poly1

test_poly1 = checks(Poly1)
# Odds of 1 : 3, so the true class has the probability 1/4.
LOGITS, LABELS, COUNTS = torch.tensor([[0.0, math.log(3)]]), torch.tensor([0]), torch.tensor([5, 5])


def test_a_probability_of_a_quarter_costs_three_quarters_of_epsilon_more() -> None:
    loss = Poly1(epsilon=2.0).per_sample(LOGITS, LABELS, COUNTS)
    assert loss.item() == pytest.approx(math.log(4) + 2.0 * 0.75)


def test_an_epsilon_of_0_is_cross_entropy() -> None:
    assert Poly1(epsilon=0.0).per_sample(LOGITS, LABELS, COUNTS).item() == pytest.approx(math.log(4))


def test_an_epsilon_of_minus_1_leaves_the_loss_positive() -> None:
    # What is left of the series begins with (1 - p)**2 / 2.
    logits = torch.tensor([[4.0, 0.0]])
    wrong = 1 / (1 + math.exp(4))
    loss = Poly1(epsilon=-1.0).per_sample(logits, LABELS, COUNTS).item()
    assert loss == pytest.approx(wrong**2 / 2, rel=0.02)
