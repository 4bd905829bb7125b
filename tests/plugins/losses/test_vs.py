from __future__ import annotations

import math

import pytest
import torch

from ltbench_plugins.losses.vs import Vs


def test_by_hand() -> None:
    # Counts 4, 1 and gamma = 1/2 scale by 1 and 1/2, so logits 1 and 2 are both 1; the prior is 4/5, 1/5.
    logits, labels, counts = torch.tensor([[1.0, 2.0]]).expand(2, 2), torch.tensor([0, 1]), torch.tensor([4, 1])
    losses = Vs(gamma=0.5, tau=0).per_sample(logits, labels, counts)
    assert losses.tolist() == pytest.approx([math.log(2)] * 2)
    losses = Vs(gamma=0.5, tau=1).per_sample(logits, labels, counts)
    assert losses.tolist() == pytest.approx([-math.log(0.8), -math.log(0.2)])
