"""Losses that are another loss where their parameters are neutral."""

from __future__ import annotations

import pytest
import torch
from plugins.checks import both_sizes, generator, long_tail

from ltbench import Loss
from ltbench_plugins.losses.balanced_softmax import BalancedSoftmax
from ltbench_plugins.losses.cross_entropy import CrossEntropy
from ltbench_plugins.losses.focal import Focal
from ltbench_plugins.losses.label_smooth import LabelSmooth
from ltbench_plugins.losses.ldam import Ldam
from ltbench_plugins.losses.logit_adjust import LogitAdjust
from ltbench_plugins.losses.vs import Vs


@both_sizes
@pytest.mark.parametrize(
    ("loss", "other", "exact"),
    [
        (Focal(gamma=0), CrossEntropy(), True),
        (LogitAdjust(tau=0), CrossEntropy(), True),
        (Ldam(max_margin=0, scale=1), CrossEntropy(), False),
        (LabelSmooth(eps=0.0, off="k_minus_1"), CrossEntropy(), False),
        (LabelSmooth(eps=0.0, off="k"), CrossEntropy(), False),
        (Vs(gamma=0, tau=0), CrossEntropy(), False),
        (Vs(gamma=0, tau=1.25), LogitAdjust(tau=1.25), False),
        (BalancedSoftmax(), LogitAdjust(tau=1), False),
    ],
    ids=lambda value: getattr(value, "label", ""),
)
def test_a_loss_with_neutral_parameters_is_another(loss: Loss, other: Loss, exact: bool, classes: int) -> None:
    logits, labels = 5 * torch.randn(20, classes, generator=generator()), torch.arange(20) % classes
    losses, expected = (one.per_sample(logits, labels, long_tail(classes)) for one in (loss, other))
    torch.testing.assert_close(losses, expected, **{"rtol": 0, "atol": 0} if exact else {})
