"""Focal loss on sigmoid probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from ltbench import Loss, Meta, Tune, hookimpl

if TYPE_CHECKING:
    from torch import Tensor


class SigmoidFocal(Loss, frozen=True):
    """Focal loss of a binary classification per class, summed over the classes.

    `loss = -sum over i of (1 - p_i) ** gamma * log p_i`, with p_i = sigmoid(z_i) for the true class and
    sigmoid(-z_i) for every other one. With gamma = 0 it is the sum of binary cross entropies. With the weight `ens` it
    is the class-balanced focal loss of Cui et al.

    The sum has C terms, so at the start of training it is about C times the loss of one class. Cui et al. reduce it with
    an initial bias of -log(C - 1) in the last layer. Here the network is initialised as for all other losses; gamma = 2
    has most of that effect. Predictions are the softmax of the logits, as for all techniques. The predicted class is the
    same as with the sigmoid, but the probabilities are not calibrated by this loss.

    Source: Cui et al., Class-Balanced Loss Based on Effective Number of Samples, CVPR 2019, section 4.3
    (class-balanced focal loss), without its weight; report rivadeneira, equation 13.
    """

    name = "sigmoid_focal"

    gamma: Annotated[
        float,
        Meta(ge=0, description="0: binary cross entropies; larger values give easy samples less weight"),
        Tune(0.5, 5.0),
    ] = 2.0

    def per_sample(self, logits: Tensor, labels: Tensor, counts: Tensor) -> Tensor:
        """Return the loss of each sample, float [B]. logits: float [B, C]; labels: int64 [B]; counts: int64 [C]."""
        import torch

        softplus = torch.nn.functional.softplus
        signed = -logits.scatter(1, labels[:, None], -logits.gather(1, labels[:, None]))
        # log p = -softplus(-z) and log(1 - p) = -softplus(z): finite, with finite gradients, for any z.
        return ((-self.gamma * softplus(signed)).exp() * softplus(-signed)).sum(1)


@hookimpl
def ltbench_losses() -> list[type[Loss]]:
    return [SigmoidFocal]
