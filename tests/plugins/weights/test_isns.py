from __future__ import annotations

import pytest
import torch
from plugins.checks import long_tail

from ltbench_plugins.weights.ins import Ins
from ltbench_plugins.weights.isns import Isns


def test_by_hand() -> None:
    counts = torch.tensor([4, 1])  # 1/2 and 1; their mean is 3/4
    assert Isns(normalize="none").weights(counts).tolist() == [0.5, 1]
    assert Isns().weights(counts).tolist() == pytest.approx([2 / 3, 4 / 3])


def test_it_is_the_square_root_of_ins_before_scaling() -> None:
    counts = long_tail(20)
    torch.testing.assert_close(Isns(normalize="none").weights(counts) ** 2, Ins(normalize="none").weights(counts))
