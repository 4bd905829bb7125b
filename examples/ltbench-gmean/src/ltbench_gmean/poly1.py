"""Poly-1 loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from ltbench import Loss, Meta, hookimpl

if TYPE_CHECKING:
    from torch import Tensor

LTBENCH_API = 1  # version of the ltbench hooks that this module implements


class Poly1(Loss, frozen=True):
    """Cross entropy with a different first coefficient of its series: `loss = -log p + epsilon * (1 - p)`.

    p is the softmax probability of the true class. Cross entropy is `(1 - p) + (1 - p)**2 / 2 + ...`; here the first
    coefficient is `1 + epsilon`. The paper uses a positive epsilon for balanced images, which emphasises samples that
    are almost correct, and a negative one for detection, where one class is far more frequent. With `epsilon = 0` it is
    cross entropy.

    Source: Leng et al., PolyLoss: A Polynomial Expansion Perspective of Classification Loss Functions, ICLR 2022
    (Poly-1).
    """

    name = "poly1"

    epsilon: Annotated[float, Meta(ge=-1, description="added to the first coefficient; 0: cross entropy")] = 1.0

    def per_sample(self, logits: Tensor, labels: Tensor, counts: Tensor) -> Tensor:
        """Return the loss of each sample, float [B]. logits: float [B, C]; labels: int64 [B]; counts: int64 [C]."""
        log_p = logits.log_softmax(1).gather(1, labels[:, None])[:, 0]
        # expm1 keeps the precision of 1 - p for p close to 1.
        return -log_p - self.epsilon * log_p.expm1()


@hookimpl
def ltbench_losses() -> list[type[Loss]]:
    return [Poly1]
