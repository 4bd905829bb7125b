from __future__ import annotations

import numpy as np
import pytest
import torch
from plugins.experts import COUNTS, LABELS, LOGITS, cross_entropy, loss_of, outputs

from ltbench.errors import JobFailed
from ltbench_plugins.losses.balanced_softmax import BalancedSoftmax
from ltbench_plugins.losses.cross_entropy import CrossEntropy
from ltbench_plugins.losses.sade_loss import SadeLoss


def test_each_expert_has_a_loss_of_its_own() -> None:
    prior = np.array([16, 4, 1]) / 21
    inverse = np.array([1, 4, 16]) / 21
    expected = (
        cross_entropy(LOGITS[0])
        + cross_entropy(LOGITS[1] + np.log(prior))
        + cross_entropy(LOGITS[2] + np.log(prior) - 2 * np.log(inverse))
    )
    assert loss_of(SadeLoss(), LOGITS) == pytest.approx(expected)


def test_the_inverse_prior_follows_the_ranks_of_the_classes() -> None:
    # Sizes 4, 16, 1, 8 rank 3rd, 1st, 4th, 2nd; mirrored they have the sizes 8, 1, 16, 4.
    counts = torch.tensor([4, 16, 1, 8])
    logits = torch.zeros(3, 4, 4, dtype=torch.float64)
    losses = SadeLoss().of(outputs(logits), torch.arange(4), counts, None)
    prior, inverse = np.array([4, 16, 1, 8]) / 29, np.array([8, 1, 16, 4]) / 29
    third = prior / inverse**2
    expected = np.log(4) - np.log(prior) - np.log(third / third.sum())
    assert losses.tolist() == pytest.approx(expected)


def test_without_tau_the_third_expert_is_as_the_second() -> None:
    same = np.repeat(LOGITS[:1], 3, 0)
    plain, balanced = (
        one().per_sample(torch.as_tensor(LOGITS[0]), torch.tensor(LABELS), torch.tensor(COUNTS))
        for one in (CrossEntropy, BalancedSoftmax)
    )
    assert loss_of(SadeLoss(tau=0), same) == pytest.approx((plain + 2 * balanced).tolist())


@pytest.mark.parametrize("number", [1, 2])
def test_another_number_of_experts_is_refused(number: int) -> None:
    with pytest.raises(JobFailed, match=f"for 3 experts, but there are {number}"):
        loss_of(SadeLoss(), LOGITS[:number])
