from __future__ import annotations

import numpy as np
import pytest
import torch
from plugins.experts import COUNTS, LABELS, LOGITS, cross_entropy, loss_of

from ltbench.errors import ParameterError
from ltbench_plugins.losses.balpoe_loss import BalpoeLoss
from ltbench_plugins.losses.logit_adjust import LogitAdjust

PRIOR = np.log(np.array([16, 4, 1]) / 21)


def test_each_expert_has_a_strength_of_its_own() -> None:
    expected = sum(cross_entropy(LOGITS[e] + e * PRIOR) for e in range(3)) / 3
    assert loss_of(BalpoeLoss(), LOGITS) == pytest.approx(expected)


@pytest.mark.parametrize(("number", "taus"), [(1, [0.5]), (2, [0.5, 1.5]), (3, [0.5, 1.0, 1.5])])
def test_strengths_are_in_equal_steps_for_any_number_of_experts(number: int, taus: list[float]) -> None:
    expected = sum(cross_entropy(LOGITS[e] + tau * PRIOR) for e, tau in enumerate(taus)) / number
    assert loss_of(BalpoeLoss(low=0.5, high=1.5), LOGITS[:number]) == pytest.approx(expected)


def test_with_one_strength_it_is_logit_adjustment() -> None:
    losses = [
        LogitAdjust(tau=0.7).per_sample(torch.as_tensor(logits), torch.tensor(LABELS), torch.tensor(COUNTS))
        for logits in LOGITS
    ]
    assert loss_of(BalpoeLoss(low=0.7, high=0.7), LOGITS) == pytest.approx(torch.stack(losses).mean(0).tolist())


def test_strengths_that_fall_are_refused() -> None:
    with pytest.raises(ParameterError, match="low up to high"):
        BalpoeLoss(low=2, high=1)
