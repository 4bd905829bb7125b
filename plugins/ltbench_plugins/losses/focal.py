"""Focal loss on softmax probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from ltbench import Loss, Meta, Tune, hookimpl
from ltbench_plugins.losses._others import log_rest
from ltbench_plugins.losses._priors import nll

if TYPE_CHECKING:
    from torch import Tensor


class Focal(Loss, frozen=True):
    """Cross entropy that weighs down well-classified samples.

    `loss = -(1 - p) ** gamma * log p`, where p is the softmax probability of the true class. With gamma = 0 it is cross
    entropy. Lin et al. define it for the sigmoid outputs of a detector and found gamma = 2 best, which most papers use;
    the repository of LDAM has gamma = 1. This form with a softmax over the classes is common for classification;
    `sigmoid_focal` is the original form. With the weight `ens` each becomes the class-balanced focal loss, where p is
    the probability without the weight.

    Source: Lin et al., Focal Loss for Dense Object Detection, 2017, equation 4; report rivadeneira, "CB-Focal".
    """

    name = "focal"

    gamma: Annotated[
        float, Meta(ge=0, description="0: cross entropy; larger values give easy samples less weight"), Tune(0.5, 5.0)
    ] = 2.0

    def per_sample(self, logits: Tensor, labels: Tensor, counts: Tensor) -> Tensor:
        """Return the loss of each sample, float [B]. logits: float [B, C]; labels: int64 [B]; counts: int64 [C]."""
        if not self.gamma:  # 0 times the logarithm below is undefined where 1 - p is zero, as for a single class
            return nll(logits, labels)
        return (self.gamma * log_rest(logits, labels)).exp() * nll(logits, labels)


@hookimpl
def ltbench_losses() -> list[type[Loss]]:
    return [Focal]
