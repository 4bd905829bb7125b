"""Balanced softmax."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ltbench import Loss, hookimpl
from ltbench_plugins._notes import WITH_ANOTHER_CORRECTION
from ltbench_plugins.losses._priors import nll

if TYPE_CHECKING:
    from torch import Tensor


class BalancedSoftmax(Loss, frozen=True):
    """Cross entropy with a softmax that weighs each class by its number of images.

    `p_y = n_y exp(z_y) / sum over i of n_i exp(z_i)` during training; the plain softmax at test time. Same as
    `logit_adjust[tau=1]`.

    Source: Ren et al., Balanced Meta-Softmax for Long-Tailed Visual Recognition, 2020, theorem 1.
    """

    name = "balanced_softmax"
    doubtful = WITH_ANOTHER_CORRECTION

    def per_sample(self, logits: Tensor, labels: Tensor, counts: Tensor) -> Tensor:
        """Return the loss of each sample, float [B]. logits: float [B, C]; labels: int64 [B]; counts: int64 [C]."""
        return nll(logits + counts.clamp(min=1).to(logits.dtype).log(), labels)


@hookimpl
def ltbench_losses() -> list[type[Loss]]:
    return [BalancedSoftmax]
