from __future__ import annotations

import math

import pytest
import torch
from plugins.checks import generator

from ltbench.testing import checks
from ltbench_plugins.losses.asymmetric import Asymmetric

COUNTS = torch.tensor([5, 5])
test_it_conforms = checks(Asymmetric(gamma_pos=0), Asymmetric(gamma_pos=0.5, gamma_neg=0.5, eps=0.3))


def test_by_hand() -> None:
    # p = 1/4 and 3/4, eps = 0.2: targets 0.9 and 0.1, weights (3/4) ** 2 and 3/4.
    logits = torch.tensor([[0.0, math.log(3)]])
    loss = Asymmetric(gamma_pos=2, gamma_neg=1, eps=0.2).per_sample(logits, torch.tensor([0]), COUNTS)
    assert float(loss) == pytest.approx(0.9 * 9 / 16 * math.log(4) + 0.1 * 0.75 * math.log(4 / 3))


@pytest.mark.parametrize(("gamma_pos", "gamma_neg", "eps"), [(1, 4, 0.1), (0, 2, 0.3), (2, 0, 0.1), (3, 1, 0.0)])
def test_it_is_timms_loss_for_a_single_label(gamma_pos: float, gamma_neg: float, eps: float) -> None:
    from timm.loss import AsymmetricLossSingleLabel

    logits, labels = 2 * torch.randn(40, 7, generator=generator()), torch.arange(40) % 7
    theirs = AsymmetricLossSingleLabel(gamma_pos, gamma_neg, eps, reduction="none")(logits, labels)
    ours = Asymmetric(gamma_pos=gamma_pos, gamma_neg=gamma_neg, eps=eps).per_sample(logits, labels, torch.ones(7))
    torch.testing.assert_close(ours, theirs)


def test_its_defaults_are_those_of_timm() -> None:
    from timm.loss import AsymmetricLossSingleLabel

    theirs, ours = AsymmetricLossSingleLabel(), Asymmetric()
    assert (ours.gamma_pos, ours.gamma_neg, ours.eps) == (theirs.gamma_pos, theirs.gamma_neg, theirs.eps)
