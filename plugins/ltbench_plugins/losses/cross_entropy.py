"""Cross entropy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ltbench import Loss, hookimpl

if TYPE_CHECKING:
    from torch import Tensor


class CrossEntropy(Loss, frozen=True):
    """The negative log-likelihood of the true class.

        loss = -log p_y,   p = softmax(logits)

    The baseline of the stage; it ignores class counts.

    Source: any textbook, for instance Bishop, Pattern Recognition and Machine Learning, 2006, equation 4.108.
    """

    name = "cross_entropy"
    baseline = True

    def per_sample(self, logits: Tensor, labels: Tensor, counts: Tensor) -> Tensor:
        """Return the loss of each sample, float [B]. logits: float [B, C]; labels: int64 [B]; counts: int64 [C]."""
        return -logits.log_softmax(1).gather(1, labels[:, None]).squeeze(1)


@hookimpl
def ltbench_losses() -> list[type[Loss]]:
    return [CrossEntropy]
