"""Auxiliaries with a teacher: `distill` and `dive`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from plugins.auxiliaries.outputs import term_of
from plugins.small_run import SmallRun
from torch import nn

from ltbench import Outputs
from ltbench_plugins.auxiliaries.distill import Distill
from ltbench_plugins.auxiliaries.dive import Dive

Z = torch.tensor([[1.0, 0.5, -1.0], [0.0, 2.0, 0.3], [-0.5, 0.1, 0.4]])
T = torch.tensor([[2.0, 0.0, 0.5], [1.0, 1.5, -1.0], [0.2, 0.0, 1.0]])
LABELS = torch.tensor([0, 1, 2])
COUNTS = torch.tensor([70, 20, 10])


def outputs(*branches: torch.Tensor) -> list[Outputs]:
    logits = torch.stack(branches or (Z,))
    layers = tuple(nn.Identity() for _ in logits)
    return [Outputs(logits=logits.mean(0), branches=logits, features=None, layers=layers, teacher=T)]


def softmax(values: np.ndarray) -> np.ndarray:
    powers = np.exp(values)
    return powers / powers.sum(1, keepdims=True)


def by_hand(temperature: float, power: float = 1.0, logits: torch.Tensor = Z) -> float:
    z, t = logits.double().numpy(), T.double().numpy()
    q = softmax(t / temperature) ** power
    q /= q.sum(1, keepdims=True)
    p = softmax(z / temperature)
    return float(temperature**2 * np.mean([np.sum(q[i] * np.log(q[i] / p[i])) for i in range(len(z))]))


def balanced() -> float:
    prior = np.array([0.7, 0.2, 0.1])
    shares = prior * np.exp(Z.double().numpy())
    shares /= shares.sum(1, keepdims=True)
    return float(-np.log(shares[np.arange(3), LABELS]).mean())


@pytest.mark.parametrize("temperature", [1.0, 2.0, 5.0])
def test_distillation_by_the_equation(temperature: float) -> None:
    got = term_of(Distill(temperature=temperature), outputs(), LABELS, COUNTS)
    assert got == pytest.approx(by_hand(temperature), rel=1e-5)


def test_distillation_takes_the_mean_over_branches_and_is_zero_for_the_teacher() -> None:
    both = term_of(Distill(), outputs(Z, T), LABELS, COUNTS)
    assert both == pytest.approx(by_hand(2.0) / 2, rel=1e-5)
    assert term_of(Distill(), outputs(T), LABELS, COUNTS) == pytest.approx(0, abs=1e-6)


def test_dive_by_the_equation() -> None:
    # The authors' configuration: temperature 3, power 0.5, alpha 0.5.
    assert (Dive().temperature, Dive().power, Dive().alpha, Dive().teacher) == (3.0, 0.5, 0.5, "balanced_softmax")
    for alpha in (0.5, 0.2, 1.0):
        got = term_of(Dive(alpha=alpha), outputs(), LABELS, COUNTS)
        assert got == pytest.approx((1 - alpha) * balanced() + alpha * by_hand(3.0, 0.5), rel=1e-5)


def test_dive_with_a_power_of_one_is_distillation_with_balanced_softmax() -> None:
    got = term_of(Dive(power=1.0, temperature=2.0, alpha=0.25), outputs(), LABELS, COUNTS)
    distilled = term_of(Distill(), outputs(), LABELS, COUNTS)
    assert got == pytest.approx(0.75 * balanced() + 0.25 * distilled, rel=1e-5)
    assert term_of(Dive(temperature=2.0, alpha=0.25), outputs(), LABELS, COUNTS) != pytest.approx(got, rel=1e-2)


def test_they_train_with_their_teachers(tmp_path: Path) -> None:
    made = SmallRun(tmp_path, ["distill"], ["dive"], ["balanced_softmax"], ["distill[teacher=balanced_softmax]"])
    plain, balanced = made.fit(), made.fit("balanced_softmax")
    for label, teacher in (("distill", plain), ("dive", balanced), ("distill[teacher=balanced_softmax]", balanced)):
        meta = made.fit(label)
        assert meta["spec"]["teacher"] == teacher["spec"], label
        assert meta["cost"]["samples"] == 2 * 20 * 8, "the teacher's images count"
    # The plain training, balanced softmax, and three students: each teacher is the training of a row.
    assert len(made.plan.of_kind("fit")) == 5
