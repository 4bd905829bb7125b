from __future__ import annotations

import numpy as np
import pytest
import torch
from plugins.experts import COUNTS, LABELS, LOGITS, cross_entropy, loss_of

from ltbench_plugins.losses.cross_entropy import CrossEntropy
from ltbench_plugins.losses.ldam import Ldam
from ltbench_plugins.losses.ride_loss import RideLoss


def test_margins_are_in_units_of_the_scaled_logits_and_losses_are_added() -> None:
    # Counts 16, 4, 1: the margins of the labels 2 and 0 are 0.5 and 0.5 / 2, times the scale of 10.
    held = LOGITS.copy()
    held[:, 0, 2] -= 5.0
    held[:, 1, 0] -= 2.5
    expected = sum(cross_entropy(logits) for logits in held)
    assert loss_of(RideLoss(scale=10), LOGITS) == pytest.approx(expected)


def test_with_one_branch_it_is_ldam_of_logits_that_are_not_scaled_yet() -> None:
    ldam = Ldam(scale=30).per_sample(torch.as_tensor(LOGITS[0]), torch.tensor(LABELS), torch.tensor(COUNTS))
    assert loss_of(RideLoss(), 30 * LOGITS[:1]) == pytest.approx(ldam.tolist())


def test_without_margin_it_is_the_sum_of_cross_entropies() -> None:
    mean = np.array(loss_of(CrossEntropy(), LOGITS))
    assert loss_of(RideLoss(max_margin=0), LOGITS) == pytest.approx(3 * mean)
