"""Generalised cross entropy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from ltbench import Loss, Meta, Tune, hookimpl

if TYPE_CHECKING:
    from torch import Tensor

LTBENCH_API = 1  # version of the ltbench hooks that this module implements


class Gce(Loss, frozen=True):
    """A loss between cross entropy and mean absolute error, robust to wrong labels: `loss = (1 - p ** q) / q`.

    p is the softmax probability of the true class. As q approaches 0 it becomes cross entropy; with q = 1 it is `1 - p`,
    half the mean absolute error. An image of probability p has the gradient of cross entropy times p ** q, so images
    that do not fit their label count less.

    Source: Zhang and Sabuncu, Generalized Cross Entropy Loss for Training Deep Neural Networks with Noisy Labels,
    NeurIPS 2018, equation 6.
    """

    name = "gce"

    q: Annotated[
        float, Meta(gt=0, le=1, description="near 0: cross entropy; 1: mean absolute error"), Tune(0.3, 0.9)
    ] = 0.7

    def per_sample(self, logits: Tensor, labels: Tensor, counts: Tensor) -> Tensor:
        """Return the loss of each sample, float [B]. logits: float [B, C]; labels: int64 [B]; counts: int64 [C]."""
        log_p = logits.log_softmax(1).gather(1, labels[:, None])[:, 0]
        # expm1 keeps the precision of 1 - p ** q for p close to 1, and for a small q.
        return -(self.q * log_p).expm1() / self.q


@hookimpl
def ltbench_losses() -> list[type[Loss]]:
    return [Gce]
