from __future__ import annotations

import math

import pytest
import torch
from plugins.checks import generator

from ltbench_plugins.losses.ldam import Ldam
from ltbench_plugins.weights.ens import Ens


def test_by_hand() -> None:
    # Counts 16, 1: margins 0.5 / 16^(1/4) = 0.25 and 0.5. Logits (1, 0): (0.75, 0) for label 0, (1, -0.5) for label 1.
    logits, labels, counts = torch.tensor([[1.0, 0.0]]).expand(2, 2), torch.tensor([0, 1]), torch.tensor([16, 1])
    losses = Ldam(scale=1).per_sample(logits, labels, counts)
    assert losses.tolist() == pytest.approx([math.log1p(math.exp(-0.75)), math.log1p(math.exp(1.5))])
    losses = Ldam(scale=2).per_sample(logits, labels, counts)
    assert losses.tolist() == pytest.approx([math.log1p(math.exp(-1.5)), math.log1p(math.exp(3))])


def test_the_authors_mean_of_a_batch_is_that_of_the_weight_with_a_weighted_mean() -> None:
    counts = torch.tensor([5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50])
    labels = torch.arange(10).repeat_interleave(counts)
    weight = Ens(reduction="weighted_mean")
    losses = Ldam().per_sample(torch.zeros(len(labels), 10), labels, counts)
    weights = weight.weights(counts)
    mean, weighted = (one.reduce(losses * weights[labels], weights[labels]) for one in (Ens(), weight))
    assert float(weighted) == pytest.approx(float((losses * weights[labels]).sum() / weights[labels].sum()))
    assert float(weighted / mean) == pytest.approx(5.8, abs=0.1)


def test_the_margin_is_taken_off_the_true_class_alone() -> None:
    logits = torch.zeros(1, 3)
    loss = Ldam(scale=1, max_margin=1).per_sample(logits, torch.tensor([2]), torch.tensor([100, 10, 5]))
    assert float(loss) == pytest.approx(math.log(2 + math.exp(-1)) + 1)


def test_with_its_weights_a_batch_has_the_loss_of_the_authors_code() -> None:
    # Scale outside, margin inside, weights scaled to the number of classes, and torch's weighted mean.
    counts, labels = torch.tensor([500, 60, 7]), torch.tensor([0, 0, 0, 1, 2])
    cosines = torch.rand(5, 3, generator=generator()) * 2 - 1
    margins = 1 / counts.double() ** 0.25
    margins = margins * (0.5 / margins.max())
    held = cosines.double().clone()
    held[range(5), labels] -= margins[labels]
    table = (1 - 0.9999) / (1 - 0.9999 ** counts.double())
    theirs = torch.nn.functional.cross_entropy(30 * held, labels, weight=table / table.sum() * 3)
    weight = Ens(reduction="weighted_mean")
    weights = weight.weights(counts)[labels]
    ours = weight.reduce(weights * Ldam(scale=30).per_sample(cosines, labels, counts), weights)
    assert float(ours) == pytest.approx(float(theirs), rel=1e-5)
