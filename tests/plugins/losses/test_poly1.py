from __future__ import annotations

import math

import pytest
import torch

from ltbench_plugins.losses.poly1 import Poly1

COUNTS, LABELS = torch.tensor([5, 5]), torch.tensor([0])


def test_by_hand() -> None:
    # Odds of 1 : 3, so p = 1/4.
    logits = torch.tensor([[0.0, math.log(3)]])
    assert float(Poly1(epsilon=2).per_sample(logits, LABELS, COUNTS)) == pytest.approx(math.log(4) + 1.5)
    assert float(Poly1(epsilon=-1).per_sample(logits, LABELS, COUNTS)) == pytest.approx(math.log(4) - 0.75)


@pytest.mark.parametrize("epsilon", [-1.0, 0.0, 3.0])
def test_only_the_first_coefficient_of_the_series_is_another(epsilon: float) -> None:
    logits = torch.tensor([[1.0, 0.3]], dtype=torch.float64)
    wrong = 1 - float(logits.softmax(1)[0, 0])
    series = (1 + epsilon) * wrong + sum(wrong**n / n for n in range(2, 60))
    assert float(Poly1(epsilon=epsilon).per_sample(logits, LABELS, COUNTS)) == pytest.approx(series)
