"""The objective of a segment: one function of logits and batch, composed of loss, class weights and mix.

w: class weights (1 without a weight technique); reduce: the reduction of the weight technique (else the mean):

    loss = reduce(w[y] l(y))                                          l(y): per-sample loss of label y
    loss = reduce(lam w[a] l(a) + (1 - lam) w[b] l(b))                with a mix of labels a and b

So every loss can be combined with every mix, and a loss only gets hard labels.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ltbench.engine import output_checks
from ltbench.stages import Loss, Mix, Mixed, Weight

Objective = Callable[[Tensor, Mixed], Tensor]
"""Logits, float32 [B, C], and their batch -> loss, float []."""


def make_objective(loss: Loss, weight: Weight | None, mix: Mix | None, counts: Tensor) -> Objective:
    """Return the objective. counts: int64 [C], of the training subset.

    Raises `JobFailed` if a technique returns a value of the wrong shape, or weights that are not finite and >= 0.
    """
    if weight is None:
        table = torch.ones(len(counts), device=counts.device)
    else:
        with output_checks.leaving_no_state(weight):
            weights_of_classes = weight.weights(counts)
        table = output_checks.check_class_weights(weight, weights_of_classes, len(counts)).float()
    reduce = _mean if weight is None else weight.reduce
    _check_outputs(loss, weight, table, reduce, counts)

    def plain(logits: Tensor, batch: Mixed) -> Tensor:
        weights = table[batch.labels_a]
        return reduce(weights * loss.per_sample(logits, batch.labels_a, counts), weights)

    def blended(logits: Tensor, batch: Mixed) -> Tensor:
        weights_a = batch.lam * table[batch.labels_a]
        weights_b = (1 - batch.lam) * table[batch.labels_b]
        loss_a = loss.per_sample(logits, batch.labels_a, counts)
        loss_b = loss.per_sample(logits, batch.labels_b, counts)
        return reduce(weights_a * loss_a + weights_b * loss_b, weights_a + weights_b)

    return plain if mix is None else blended


def count_correct(logits: Tensor, batch: Mixed) -> Tensor:
    """Return the number of correctly classified images, float []; each class of a blended image counts by its share."""
    predicted = logits.detach().argmax(1)
    correct: Tensor = (predicted == batch.labels_a).float()
    if batch.lam is not None:
        correct = batch.lam * correct + (1 - batch.lam) * (predicted == batch.labels_b)
    return correct.sum()


def _mean(losses: Tensor, _weights: Tensor) -> Tensor:
    return losses.mean()


def _check_outputs(
    loss: Loss, weight: Weight | None, table: Tensor, reduce: Callable[[Tensor, Tensor], Tensor], counts: Tensor
) -> None:
    """Check what loss and reduction return for two samples with equal logits."""
    labels = torch.tensor([0, len(counts) - 1], device=counts.device)
    logits = torch.zeros(2, len(counts), device=counts.device)
    with torch.random.fork_rng(devices=[]):  # a loss that draws must not advance the dropout stream here
        with output_checks.leaving_no_state(loss):
            returned = loss.per_sample(logits, labels, counts)
        losses = output_checks.check_tensor(loss, "losses", returned, None, [2])
        if weight is None:
            return
        with output_checks.leaving_no_state(weight):
            reduced = reduce(table[labels] * losses, table[labels])
        output_checks.check_tensor(weight, "a reduced loss", reduced, None, [])
