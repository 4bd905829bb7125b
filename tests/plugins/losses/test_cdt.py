from __future__ import annotations

import math

import pytest
import torch

from ltbench_plugins.losses.cdt import Cdt


def test_by_hand() -> None:
    # Counts 16, 1 and gamma = 1/4: temperatures 1 and 2. Logits 3 and 2 become 3 and 1, so the odds are e^2.
    logits, labels, counts = torch.tensor([[3.0, 2.0]]).expand(2, 2), torch.tensor([0, 1]), torch.tensor([16, 1])
    losses = Cdt(gamma=0.25).per_sample(logits, labels, counts)
    assert losses.tolist() == pytest.approx([math.log1p(math.exp(-2)), math.log1p(math.exp(2))])


def test_the_largest_class_keeps_its_logit() -> None:
    # Only the logit of the rare class is scaled, by (1 / 100) ** 0.2 = 0.3981.
    loss = Cdt().per_sample(torch.tensor([[5.0, 5.0]]), torch.tensor([1]), torch.tensor([100, 1]))
    assert float(loss) == pytest.approx(math.log1p(math.exp(5 - 5 * 0.398107)), rel=1e-5)
