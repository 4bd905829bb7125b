"""The objective of a segment: one function of outputs and batch, composed of loss, class weights and mix.

w: class weights (1 without a weight technique); f: a factor of each sample, 1 unless an update asks for a part of the
batch; reduce: the reduction of the weight technique (else the mean):

    loss = reduce(f w[y] l(y))                                        l(y): per-sample loss of label y
    loss = reduce(f (lam w[a] l(a) + (1 - lam) w[b] l(b)))            with a mix of labels a and b

So every loss can be combined with every mix, and a loss only gets hard labels. With branches, l is that of all branches:
by default their mean.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from ltbench.engine import output_checks
from ltbench.stages import Loss, Mixed, Moment, Outputs, Weight


class Objective(Protocol):
    """The loss of a batch, float []."""

    def __call__(self, outputs: Outputs, batch: Mixed, moment: Moment, factor: Tensor | None = None) -> Tensor:
        """Return it. factor: of the loss of each sample, float [B]."""


def make_objective(loss: Loss, weight: Weight | None, counts: Tensor, trial: Outputs | None = None) -> Objective:
    """Return the objective. counts: int64 [C], of the training subset.

    trial: outputs for two samples, to try a loss that needs more than logits. Raises `JobFailed` if a technique returns a
    value of the wrong shape, or weights that are not finite and >= 0.
    """
    if weight is None:
        table = torch.ones(len(counts), device=counts.device)
    else:
        with output_checks.leaving_no_state(weight):
            weights_of_classes = weight.weights(counts)
        table = output_checks.check_class_weights(weight, weights_of_classes, len(counts)).float()
    reduce = _mean if weight is None else weight.reduce
    _check_outputs(loss, weight, table, reduce, counts, trial)

    def objective(outputs: Outputs, batch: Mixed, moment: Moment, factor: Tensor | None = None) -> Tensor:
        if batch.lam is None:
            weights = table[batch.labels_a]
            losses = weights * loss.of(outputs, batch.labels_a, counts, moment)
        else:
            weights_a = batch.lam * table[batch.labels_a]
            weights_b = (1 - batch.lam) * table[batch.labels_b]
            loss_a = loss.of(outputs, batch.labels_a, counts, moment)
            loss_b = loss.of(outputs, batch.labels_b, counts, moment)
            weights, losses = weights_a + weights_b, weights_a * loss_a + weights_b * loss_b
        # The factor is no weight: the parts of a batch sum to the whole, also under a weighted mean.
        return reduce(losses if factor is None else factor * losses, weights)

    return objective


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
    loss: Loss,
    weight: Weight | None,
    table: Tensor,
    reduce: Callable[[Tensor, Tensor], Tensor],
    counts: Tensor,
    trial: Outputs | None,
) -> None:
    """Check what loss and reduction return for two samples: with equal logits, or those of `trial`."""
    labels = torch.tensor([0, len(counts) - 1], device=counts.device)
    if trial is None:
        logits = torch.zeros(2, len(counts), device=counts.device)
        trial = Outputs(logits=logits, branches=logits[None], features=None, layers=())
    moment = Moment(epoch=0, epochs=1, step=0, steps=1)
    with torch.random.fork_rng(devices=[]):  # a loss that draws must not advance the dropout stream here
        with output_checks.leaving_no_state(loss):
            returned = loss.of(trial, labels, counts, moment)
        losses = output_checks.check_tensor(loss, "losses", returned, None, [2])
        if weight is None:
            return
        with output_checks.leaving_no_state(weight):
            reduced = reduce(table[labels] * losses, table[labels])
        output_checks.check_tensor(weight, "a reduced loss", reduced, None, [])
