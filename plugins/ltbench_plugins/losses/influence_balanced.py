"""Influence-balanced loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from ltbench import Loss, Meta, Tune, hookimpl
from ltbench_plugins.losses._priors import nll

if TYPE_CHECKING:
    from torch import Tensor

    from ltbench import Moment, Outputs

_EPSILON = 1e-3
"""Added to the influence, as in the authors' code, so that a sample without influence has a finite weight."""


class InfluenceBalanced(Loss, frozen=True):
    """Cross entropy divided by the influence of the sample, late in the training.

        loss = alpha CE(z, y) / (|p - y|_1 |h|_1)

    with the features h that the classifier is given, and the sum of absolute values | |_1: the product is the norm of
    the gradient of the classifier's weights. Samples on which the classifier overfits have a large influence. As in
    the authors' code, gradients also flow through the divisor. Before `start`, and with a training that restarts before
    that part of its own schedule, it is cross entropy.

    The authors also weigh the classes by their inverse sizes in the second part, `ins` with the regime `drw[at=0.5]`, and
    lower the learning rate there by a factor of 100, as weights with alpha = 1000 are far above 1.

    Source: Park et al., Influence-Balanced Loss for Imbalanced Visual Classification, ICCV 2021, the
    definitions of the influence-balanced weight and loss.
    """

    name = "influence_balanced"

    alpha: Annotated[
        float, Meta(gt=0, description="factor of the loss in the second part"), Tune(100.0, 10_000.0, log=True)
    ] = 1000.0
    start: Annotated[
        float, Meta(ge=0, lt=1, description="part of the training after which the influence counts"), Tune(0.3, 0.8)
    ] = 0.5

    def of(self, outputs: Outputs, labels: Tensor, counts: Tensor, moment: Moment) -> Tensor:
        """Return the loss of each sample, float [B]."""
        losses = [nll(logits, labels) for logits in outputs.branches]
        if moment.progress >= self.start:
            # |p - y|_1 is 1 - p_y for the true class and, in sum, as much for the others.
            errors = [-2 * (-loss).expm1() for loss in losses]
            norms = outputs.features.abs().sum(2)
            losses = [
                self.alpha * loss / (error * norm + _EPSILON)
                for loss, error, norm in zip(losses, errors, norms, strict=True)
            ]
        return sum(losses[1:], losses[0]) / len(losses)


@hookimpl
def ltbench_losses() -> list[type[Loss]]:
    return [InfluenceBalanced]
