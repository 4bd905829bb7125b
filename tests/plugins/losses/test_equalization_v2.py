from __future__ import annotations

import math

import pytest
import torch
from plugins.experts import moment, outputs
from torch import Tensor

from ltbench import Mixed, Outputs
from ltbench_plugins.losses.equalization_v2 import EqualizationV2
from ltbench_plugins.losses.sigmoid_focal import SigmoidFocal

COUNTS = torch.tensor([4, 2])
LOGITS = torch.tensor([[[math.log(3.0), 0.0], [0.0, -math.log(3.0)]]])
"""Sigmoids of two images: 3/4 and 1/2, 1/2 and 1/4."""
LABELS = torch.tensor([0, 0])
START = EqualizationV2().remembers(8, 2, COUNTS, torch.Generator())


def told(logits: Tensor, state) -> Outputs:
    one = outputs(logits)
    return Outputs(logits=one.logits, branches=one.branches, features=None, layers=(), state=state)


def batch(a: Tensor, b: Tensor | None = None, lam: Tensor | None = None) -> Mixed:
    return Mixed(images=None, labels_a=a, labels_b=a if b is None else b, lam=lam)


def loss(technique: EqualizationV2, logits: Tensor, state) -> list[float]:
    return technique.of(told(logits, state), LABELS, COUNTS, moment()).tolist()


def after(state, logits: Tensor = LOGITS, mixed: Mixed | None = None) -> dict[str, list[float]]:
    technique = EqualizationV2(gamma=2, mu=1, alpha=4)
    new = technique.after_step(told(logits, state), mixed or batch(LABELS), torch.nn.Identity(), state)
    return {name: value.tolist() for name, value in new.items()}


def test_at_the_start_it_is_the_sum_of_binary_cross_entropies() -> None:
    plain = SigmoidFocal(gamma=0).per_sample(LOGITS[0], LABELS, COUNTS)
    assert loss(EqualizationV2(), LOGITS, START) == pytest.approx(plain.tolist())


def test_gradients_of_the_logits_are_summed_by_class() -> None:
    # |sigmoid - target|: 1/4 and 1/2 for class 0, which is the true one; 1/2 and 1/4 for class 1, which is not.
    first = after(START)
    assert first == {"positive": pytest.approx([0.75, 0]), "negative": pytest.approx([0, 0.75])}
    # Class 0 has no negative gradients yet: weight 1. Class 1 has the ratio 0: f = sigmoid(2 (0 - 1)).
    kept = 1 / (1 + math.exp(2))
    state = {name: torch.tensor(value) for name, value in first.items()}
    second = after(state, mixed=batch(torch.tensor([0, 1])))
    # Now class 1 is the true one of the second image: its weight is 1 + 4 (1 - f), its gradient 3/4.
    assert second["positive"] == pytest.approx([0.75 + 0.25, (1 + 4 * (1 - kept)) * 0.75])
    assert second["negative"] == pytest.approx([0.5, 0.75 + kept * 0.5])


def test_a_class_that_is_pushed_down_is_pushed_down_less_and_pulled_up_more() -> None:
    state = {"positive": torch.tensor([3.0, 1.0]), "negative": torch.tensor([2.0, 4.0])}
    technique = EqualizationV2(gamma=2, mu=1, alpha=4)
    f = [1 / (1 + math.exp(-2 * (ratio - 1))) for ratio in (1.5, 0.25)]
    pull = 1 + 4 * (1 - f[0])
    expected = [
        pull * math.log(4 / 3) + f[1] * math.log(2),
        pull * math.log(2) + f[1] * math.log(4 / 3),
    ]
    assert loss(technique, LOGITS, state) == pytest.approx(expected)
    assert f[1] < 0.2 < 1 < pull


def test_blended_images_count_for_both_classes_by_their_shares() -> None:
    mixed = batch(torch.tensor([0, 0]), torch.tensor([1, 1]), torch.tensor([0.75, 1.0]))
    sums = after(START, mixed=mixed)
    # First image: 0.75 of label 0 (1/4, 1/2) and 0.25 of label 1 (3/4, 1/2).
    assert sums["positive"] == pytest.approx([0.75 / 4 + 0.5, 0.25 / 2])
    assert sums["negative"] == pytest.approx([0.25 * 0.75, 0.75 / 2 + 0.25])


def test_branches_share_their_gradients() -> None:
    both = after(START, LOGITS.repeat(2, 1, 1))
    assert both == {name: [2 * part for part in value] for name, value in after(START).items()}
    state = {"positive": torch.tensor([3.0, 1.0]), "negative": torch.tensor([2.0, 4.0])}
    assert loss(EqualizationV2(), LOGITS.repeat(2, 1, 1), state) == pytest.approx(loss(EqualizationV2(), LOGITS, state))
