from __future__ import annotations

import math

import pytest
import torch

from ltbench.planning.combinations import Combination
from ltbench_plugins.losses.balanced_softmax import BalancedSoftmax
from ltbench_plugins.samplers.cb_sampler import CbSampler


def test_by_hand() -> None:
    # 3 e^0 and 1 e^log(2): 3/5 and 2/5.
    logits = torch.tensor([[0.0, math.log(2)]]).expand(2, 2)
    losses = BalancedSoftmax().per_sample(logits, torch.tensor([0, 1]), torch.tensor([3, 1]))
    assert losses.tolist() == pytest.approx([-math.log(0.6), -math.log(0.4)])


def test_a_balanced_sampler_along_with_it_is_noted() -> None:
    (note,) = Combination((CbSampler(), BalancedSoftmax())).notes
    assert note.startswith("balanced_softmax with cb_sampler: both correct the class prior")
