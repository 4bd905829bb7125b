"""Poly-1 loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from ltbench import Loss, Meta, Tune, hookimpl
from ltbench_plugins.losses._priors import nll

if TYPE_CHECKING:
    from torch import Tensor


class Poly1(Loss, frozen=True):
    """Cross entropy with another first coefficient of its polynomial expansion.

    `loss = -log p + epsilon * (1 - p)`, where p is the softmax probability of the true class. Cross entropy is the
    series `(1 - p) + (1 - p)**2 / 2 + ...`; here the first coefficient is 1 + epsilon. With epsilon = 0 it is cross
    entropy, with epsilon = -1 the series without its first term. The authors tune epsilon for each task: it is positive
    for ImageNet, where it makes predictions more confident, and negative for object detection.

    Source: Leng et al., PolyLoss: A Polynomial Expansion Perspective of Classification Loss Functions, ICLR 2022, the
    definition of Poly-1 in section 4.
    """

    name = "poly1"

    epsilon: Annotated[
        float, Meta(ge=-1, description="added to the coefficient of 1 - p; 0: cross entropy"), Tune(-1.0, 4.0)
    ] = 1.0

    def per_sample(self, logits: Tensor, labels: Tensor, counts: Tensor) -> Tensor:
        """Return the loss of each sample, float [B]. logits: float [B, C]; labels: int64 [B]; counts: int64 [C]."""
        loss = nll(logits, labels)
        # expm1 keeps the precision of 1 - p for p close to 1.
        return loss - self.epsilon * (-loss).expm1()


@hookimpl
def ltbench_losses() -> list[type[Loss]]:
    return [Poly1]
