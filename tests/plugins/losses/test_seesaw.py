from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from plugins.checks import generator, long_tail

from ltbench.testing import checks
from ltbench_plugins.losses.seesaw import Seesaw

test_it_conforms = checks(Seesaw(eps=0.01))


def test_by_hand() -> None:
    # Counts 16, 1 and p = 1/4: m = (1/16) ** 0.25 = 1/2 on the rare class for the frequent label, 1 the other way.
    # Logits 0 and log 3: probabilities 1/4 and 3/4, so c = 3 ** 2 on the rare class for the frequent label.
    logits, labels = torch.tensor([[0.0, math.log(3)]]).expand(2, 2), torch.tensor([0, 1])
    counts = torch.tensor([16, 1])
    losses = Seesaw(p=0.25).per_sample(logits, labels, counts)
    # 1 / (1 + 9/2 * 3) and 3 / (3 + 1).
    assert losses.tolist() == pytest.approx([math.log(14.5), math.log(4 / 3)])
    # Without the compensation 1 / (1 + 1/2 * 3), without the mitigation 1 / (1 + 9 * 3).
    assert float(Seesaw(p=0.25, q=0).per_sample(logits, labels, counts)[0]) == pytest.approx(math.log(2.5))
    assert float(Seesaw(p=0).per_sample(logits, labels, counts)[0]) == pytest.approx(math.log(28))


def reference(logits: np.ndarray, label: int, counts: np.ndarray, p: float, q: float, eps: float) -> float:
    """Return the loss from the equations, class by class."""
    sigma = np.exp(logits) / np.exp(logits).sum()
    total = np.exp(logits[label])
    for j in range(len(logits)):
        if j == label:
            continue
        mitigation = (counts[j] / counts[label]) ** p if counts[label] > counts[j] else 1
        compensation = (sigma[j] / max(sigma[label], eps)) ** q if sigma[j] > max(sigma[label], eps) else 1
        total += mitigation * compensation * np.exp(logits[j])
    return float(-np.log(np.exp(logits[label]) / total))


@pytest.mark.parametrize("eps", [0, 0.01, 0.3])
def test_it_follows_the_equations(eps: float) -> None:
    counts, labels = long_tail(6), torch.arange(12) % 6
    logits = 3 * torch.randn(12, 6, generator=generator(), dtype=torch.float64)
    losses = Seesaw(eps=eps).per_sample(logits, labels, counts)
    rows = zip(logits.numpy(), labels.tolist(), strict=True)
    expected = [reference(row, label, counts.numpy(), 0.8, 2, eps) for row, label in rows]
    assert losses.tolist() == pytest.approx(expected)


def test_no_gradient_passes_through_the_compensation() -> None:
    logits = torch.tensor([[0.0, math.log(3)]], requires_grad=True)
    Seesaw(p=0, q=2).per_sample(logits, torch.tensor([0]), torch.tensor([5, 5])).backward()
    # Of cross entropy with the constant factor 9 on the other class: 27 / 28. With it: three times as much.
    assert logits.grad is not None
    assert logits.grad.tolist()[0] == pytest.approx([-27 / 28, 27 / 28])


def test_a_tail_class_is_penalised_less_for_a_head_label_and_not_the_other_way() -> None:
    logits = torch.zeros(2, 2, requires_grad=True)
    Seesaw().per_sample(logits, torch.tensor([0, 1]), torch.tensor([100, 1])).sum().backward()
    assert logits.grad is not None
    on_tail, on_head = float(logits.grad[0, 1]), float(logits.grad[1, 0])
    share = 100**-0.8
    assert on_tail == pytest.approx(share / (1 + share))
    assert on_head == pytest.approx(0.5)
