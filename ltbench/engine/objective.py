"""The objective of a segment: loss, class weights and mix put together into one function of logits and batch.

With w the class weights (1 without a weight technique) and the reduction of the weight technique (else the mean):

    loss = reduce(w[y] l(y))                                          l(y): per-sample loss of label y
    loss = reduce(lam w[a] l(a) + (1 - lam) w[b] l(b))                with a mix of labels a and b

so every loss goes with every mix, and no loss ever sees a soft label.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ltbench.engine import output_checks
from ltbench.stages import Loss, Mix, Mixed, Weight

Objective = Callable[[Tensor, Mixed], Tensor]
"""Logits float32 [B, C] and their batch -> float []."""


def make_objective(loss: Loss, weight: Weight | None, mix: Mix | None, counts: Tensor) -> Objective:
    """Return the objective. counts: int64 [C] of the training subset.

    Raises `JobFailed` where a technique returns something of the wrong shape or weights that are not usable.
    """
    table = _class_weights(weight, counts)
    reduce = _mean if weight is None else weight.reduce
    _try(loss, weight, table, reduce, counts)

    def plain(logits: Tensor, batch: Mixed) -> Tensor:
        weights = table[batch.labels_a]
        return reduce(weights * loss.per_sample(logits, batch.labels_a, counts), weights)

    def blended(logits: Tensor, batch: Mixed) -> Tensor:
        of_a = batch.lam * table[batch.labels_a]
        of_b = (1 - batch.lam) * table[batch.labels_b]
        loss_a = loss.per_sample(logits, batch.labels_a, counts)
        loss_b = loss.per_sample(logits, batch.labels_b, counts)
        return reduce(of_a * loss_a + of_b * loss_b, of_a + of_b)

    return plain if mix is None else blended


def hits(logits: Tensor, batch: Mixed) -> Tensor:
    """Return how many images of a batch the logits have right, float []; a blended image counts by its shares."""
    best = logits.detach().argmax(1)
    right: Tensor = (best == batch.labels_a).float()
    if batch.lam is not None:
        right = batch.lam * right + (1 - batch.lam) * (best == batch.labels_b)
    return right.sum()


def _class_weights(weight: Weight | None, counts: Tensor) -> Tensor:
    if weight is None:
        return torch.ones(len(counts), device=counts.device)
    return output_checks.check_class_weights(weight, weight.weights(counts), len(counts)).float()


def _mean(losses: Tensor, _weights: Tensor) -> Tensor:
    return losses.mean()


def _try(
    loss: Loss, weight: Weight | None, table: Tensor, reduce: Callable[[Tensor, Tensor], Tensor], counts: Tensor
) -> None:
    """Check the loss and the reduction on two samples that a network knows nothing about."""
    labels = torch.tensor([0, len(counts) - 1], device=counts.device)
    logits = torch.zeros(2, len(counts), device=counts.device)
    with torch.random.fork_rng(devices=[]):
        losses = output_checks.check_tensor(loss, "losses", loss.per_sample(logits, labels, counts), None, [2])
        reduced = reduce(table[labels] * losses, table[labels])
    if weight is not None:
        output_checks.check_tensor(weight, "a reduced loss", reduced, None, [])
