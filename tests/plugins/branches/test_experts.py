from __future__ import annotations

import numpy as np
import pytest
import torch
from plugins.experts import LOGITS

from ltbench.errors import ParameterError
from ltbench_plugins.branches.experts import Experts


def test_three_experts_share_all_but_the_last_two_blocks() -> None:
    assert Experts().number() == 3
    assert [Experts().shared(blocks) for blocks in (1, 2, 4)] == [0, 0, 2]
    assert [Experts(blocks=own).shared(4) for own in (0, 1, 4, 99)] == [4, 3, 0, 0]


def test_logits_are_averaged_as_tensors_and_as_arrays() -> None:
    expected = np.array([[1.0, 1 / 3, 0.5 / 3], [-0.5 / 3, 0.5, 1.0]])
    assert Experts().merge(torch.as_tensor(LOGITS)).numpy() == pytest.approx(expected)
    merged = Experts().merge(LOGITS)
    assert isinstance(merged, np.ndarray)
    assert merged == pytest.approx(expected)


def test_one_expert_is_no_branch() -> None:
    with pytest.raises(ParameterError, match="n"):
        Experts(n=1)
