from __future__ import annotations

import math

import pytest
import torch
from ltbench.testing import checks

from ltbench_gmean.gce import Gce

test_gce = checks(Gce)
# Odds of 1 : 3, so the true class has the probability 1/4.
LOGITS, LABELS, COUNTS = torch.tensor([[0.0, math.log(3)]]), torch.tensor([0]), torch.tensor([5, 5])


def test_a_probability_of_a_quarter_has_the_square_root_of_a_half() -> None:
    # (1 - 1/2) / (1/2) = 1.
    assert Gce(q=0.5).per_sample(LOGITS, LABELS, COUNTS).item() == pytest.approx(1.0)


def test_a_q_of_1_is_the_probability_of_the_other_classes() -> None:
    assert Gce(q=1.0).per_sample(LOGITS, LABELS, COUNTS).item() == pytest.approx(0.75)


def test_a_q_near_0_is_cross_entropy() -> None:
    assert Gce(q=1e-6).per_sample(LOGITS, LABELS, COUNTS).item() == pytest.approx(math.log(4), rel=1e-5)


def test_the_gradient_is_that_of_cross_entropy_times_a_power_of_the_probability() -> None:
    logits = LOGITS.clone().requires_grad_()
    Gce(q=0.5).per_sample(logits, LABELS, COUNTS).backward()
    assert logits.grad is not None
    # Cross entropy has 1/4 - 1 and 3/4; sqrt(1/4) = 1/2.
    assert logits.grad[0].tolist() == pytest.approx([-0.375, 0.375])
