"""Losses that are another loss where their parameters are neutral."""

from __future__ import annotations

import math

import pytest
import torch
from plugins.checks import both_sizes, generator, long_tail

from ltbench import Loss, Mixed, Moment, Outputs, Weight
from ltbench.engine.objective import make_objective
from ltbench_plugins.losses.asymmetric import Asymmetric
from ltbench_plugins.losses.balanced_softmax import BalancedSoftmax
from ltbench_plugins.losses.cdt import Cdt
from ltbench_plugins.losses.cross_entropy import CrossEntropy
from ltbench_plugins.losses.focal import Focal
from ltbench_plugins.losses.label_aware_smooth import LabelAwareSmooth
from ltbench_plugins.losses.label_smooth import LabelSmooth
from ltbench_plugins.losses.ldam import Ldam
from ltbench_plugins.losses.logit_adjust import LogitAdjust
from ltbench_plugins.losses.poly1 import Poly1
from ltbench_plugins.losses.seesaw import Seesaw
from ltbench_plugins.losses.vs import Vs
from ltbench_plugins.weights.ens import Ens


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
        (Vs(gamma=0.2, tau=0), Cdt(gamma=0.2), False),
        (BalancedSoftmax(), LogitAdjust(tau=1), False),
        (Cdt(gamma=0), CrossEntropy(), True),
        (Seesaw(p=0, q=0), CrossEntropy(), True),
        (Poly1(epsilon=0), CrossEntropy(), True),
        (Asymmetric(gamma_pos=0, gamma_neg=0, eps=0), CrossEntropy(), False),
        (Asymmetric(gamma_pos=2, eps=0), Focal(gamma=2), False),
        (Asymmetric(gamma_pos=0, gamma_neg=0, eps=0.2), LabelSmooth(eps=0.2, off="k"), False),
        (LabelAwareSmooth(head=0, tail=0), CrossEntropy(), False),
        (LabelAwareSmooth(head=0.3, tail=0.3), LabelSmooth(eps=0.3), False),
        (LabelAwareSmooth(head=0.3, tail=0.3, off="k"), LabelSmooth(eps=0.3, off="k"), False),
    ],
    ids=lambda value: getattr(value, "label", ""),
)
def test_a_loss_with_neutral_parameters_is_another(loss: Loss, other: Loss, exact: bool, classes: int) -> None:
    logits, labels = 5 * torch.randn(20, classes, generator=generator()), torch.arange(20) % classes
    losses, expected = (one.per_sample(logits, labels, long_tail(classes)) for one in (loss, other))
    torch.testing.assert_close(losses, expected, **{"rtol": 0, "atol": 0} if exact else {})


def batch_loss(loss: Loss, weight: Weight, logits: torch.Tensor, labels: torch.Tensor, counts: torch.Tensor) -> float:
    """Return the loss of a batch as a training computes it."""
    outputs = Outputs(logits=logits, branches=logits[None], features=None, layers=())
    batch = Mixed(images=None, labels_a=labels, labels_b=labels, lam=None)
    moment = Moment(epoch=0, epochs=1, step=0, steps=1)
    return float(make_objective(loss, weight, counts)(outputs, batch, moment))


def test_class_balanced_focal_loss_has_the_probability_of_the_unweighted_cross_entropy() -> None:
    # p = 1/2 and 1/4, gamma = 2, weights 2/3 and 1 with mean 5/6: 0.8 and 1.2.
    logits = torch.tensor([[0.0, 0.0], [math.log(3), 0.0]])
    labels, counts = torch.tensor([0, 1]), torch.tensor([2, 1])
    loss = batch_loss(Focal(gamma=2), Ens(beta=0.5), logits, labels, counts)
    assert loss == pytest.approx((0.8 / 4 * math.log(2) + 1.2 * 9 / 16 * math.log(4)) / 2)


def test_a_class_weight_multiplies_the_whole_smoothed_loss() -> None:
    logits = torch.tensor([[0.0, 0.0], [math.log(3), 0.0]])
    labels, counts = torch.tensor([0, 1]), torch.tensor([2, 1])
    loss = batch_loss(LabelSmooth(eps=0.2, off="k"), Ens(beta=0.5), logits, labels, counts)
    smoothed = math.log(2), 0.9 * math.log(4) + 0.1 * math.log(4 / 3)
    assert loss == pytest.approx((0.8 * smoothed[0] + 1.2 * smoothed[1]) / 2)
    # torch weighs each term of the target: 0.1 * 0.8 for class 0 of the second image.
    theirs = torch.nn.functional.cross_entropy(
        logits, labels, weight=torch.tensor([0.8, 1.2]), label_smoothing=0.2, reduction="none"
    )
    assert float(theirs[1]) == pytest.approx(1.2 * 0.9 * math.log(4) + 0.8 * 0.1 * math.log(4 / 3))


BALANCED = (BalancedSoftmax(), LogitAdjust(tau=2), Vs(), Cdt(), Ldam(max_margin=0), Seesaw(q=0))
"""Losses that differ from cross entropy by class counts alone."""


@pytest.mark.parametrize("loss", BALANCED, ids=lambda loss: loss.label)
def test_with_balanced_classes_a_loss_by_class_counts_is_cross_entropy(loss: Loss) -> None:
    logits, labels, counts = torch.randn(20, 5, generator=generator()), torch.arange(20) % 5, torch.full((5,), 40)
    torch.testing.assert_close(*(one.per_sample(logits, labels, counts) for one in (loss, CrossEntropy())))


def test_label_aware_smoothing_of_balanced_classes_is_label_smoothing_as_for_the_head() -> None:
    logits, labels, counts = torch.randn(20, 5, generator=generator()), torch.arange(20) % 5, torch.full((5,), 40)
    torch.testing.assert_close(
        *(one.per_sample(logits, labels, counts) for one in (LabelAwareSmooth(), LabelSmooth(eps=0.4)))
    )


@pytest.mark.parametrize("loss", [BalancedSoftmax(), LogitAdjust(tau=0.7), Vs(), Cdt(), Ldam(), Seesaw()])
def test_ten_times_the_images_in_every_class_change_nothing(loss: Loss) -> None:
    # A constant is added to all log counts, which a softmax cancels.
    logits, labels, counts = torch.randn(20, 5, generator=generator()), torch.arange(20) % 5, long_tail(5)
    torch.testing.assert_close(*(loss.per_sample(logits, labels, n) for n in (counts, 10 * counts)))


@pytest.mark.parametrize("loss", [BalancedSoftmax(), LogitAdjust(tau=0.5), Ldam()], ids=lambda loss: loss.label)
def test_the_gradient_pushes_the_tail_up_more_than_cross_entropy_does(loss: Loss) -> None:
    # One public benchmark has the prior with the wrong sign, which pushes it down.
    pushes = []
    for one in (loss, CrossEntropy()):
        logits = torch.tensor([[1.0, 0.0, 0.5]], requires_grad=True)
        one.per_sample(logits, torch.tensor([2]), torch.tensor([1000, 100, 10])).sum().backward()
        assert logits.grad is not None
        pushes.append(-float(logits.grad[0, 2]))
    assert pushes[0] > pushes[1] > 0
