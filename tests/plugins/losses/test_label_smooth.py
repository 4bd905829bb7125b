from __future__ import annotations

import math

import pytest
import torch
from plugins.checks import generator
from torch.nn import functional as F

from ltbench_plugins.losses.label_smooth import LabelSmooth

COUNTS = torch.tensor([5, 1, 1])
both_kinds = pytest.mark.parametrize("off", ["k_minus_1", "k"])


def drawn(classes: int = 7) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(50, classes, generator=generator()), torch.arange(50) % classes


@pytest.mark.parametrize(
    ("off", "target"),
    [("k_minus_1", (0.7, 0.15, 0.15)), ("k", (0.8, 0.1, 0.1))],  # eps 0.3: 1 - eps and eps/2; 1 - eps + eps/3, eps/3
)
def test_by_hand(off: str, target: tuple[float, ...]) -> None:
    logits = torch.tensor([[math.log(2.0), math.log(1.0), math.log(5.0)]])
    probabilities = (2 / 8, 1 / 8, 5 / 8)
    expected = -sum(t * math.log(p) for t, p in zip(target, probabilities, strict=True))
    losses = LabelSmooth(eps=0.3, off=off).per_sample(logits, torch.tensor([0]), COUNTS)
    assert losses.tolist() == pytest.approx([expected])


@pytest.mark.parametrize("eps", [0.1, 0.2, 0.9])
def test_spread_over_all_classes_it_is_the_one_of_torch(eps: float) -> None:
    logits, labels = drawn()
    torch.testing.assert_close(
        LabelSmooth(eps=eps, off="k").per_sample(logits, labels, COUNTS),
        F.cross_entropy(logits, labels, label_smoothing=eps, reduction="none"),
    )


@pytest.mark.parametrize("classes", [2, 7, 1000])
def test_the_two_conventions_differ_by_a_factor_on_eps(classes: int) -> None:
    logits, labels = drawn(classes)
    torch.testing.assert_close(
        LabelSmooth(eps=0.2 * (classes - 1) / classes, off="k_minus_1").per_sample(logits, labels, COUNTS),
        LabelSmooth(eps=0.2, off="k").per_sample(logits, labels, COUNTS),
    )


@both_kinds
def test_an_overconfident_prediction_costs_more_than_a_softer_one(off: str) -> None:
    logits = torch.tensor([[50.0, 0.0, 0.0], [3.0, 0.0, 0.0]])
    sure, softer = LabelSmooth(off=off).per_sample(logits, torch.tensor([0, 0]), COUNTS)
    assert sure > softer


def test_the_defaults_are_those_of_the_report() -> None:
    assert LabelSmooth() == LabelSmooth(eps=0.2, off="k_minus_1")
