from __future__ import annotations

import numpy as np
import pytest
from plugins.experts import LOGITS, cross_entropy, log_softmax, loss_of

from ltbench_plugins.losses.ncl_loss import NclLoss

BALANCED = LOGITS + np.log([16, 4, 1])
# Of the labels 2 and 0, the hardest other category of the first expert, with logits (1, 0, -1) and (0.5, 0.5, 2):
HARD = [[0, 2], [0, 2]]


def partial(logits: np.ndarray) -> np.ndarray:
    """Return the cross entropy of each image, [B], among the true category and the hardest other one."""
    among = [-log_softmax(row[hard])[hard.index(label)] for row, hard, label in zip(logits, HARD, [2, 0], strict=True)]
    return np.array(among)


def test_each_expert_learns_all_categories_and_the_hard_ones() -> None:
    expected = sum(cross_entropy(logits) + partial(logits) for logits in BALANCED)
    assert loss_of(NclLoss(hard=0.6), LOGITS) == pytest.approx(expected)


def test_in_the_code_of_the_authors_the_other_logits_are_zero() -> None:
    kept = BALANCED.copy()
    kept[:, :, 1] = 0.0
    expected = sum(cross_entropy(logits) for logits in BALANCED) + sum(cross_entropy(logits) for logits in kept)
    assert loss_of(NclLoss(hard=0.6, others="zero"), LOGITS) == pytest.approx(expected)


def test_if_all_categories_are_hard_it_is_twice_balanced_softmax() -> None:
    expected = 2 * sum(cross_entropy(logits) for logits in BALANCED)
    assert loss_of(NclLoss(hard=1), LOGITS) == pytest.approx(expected)
