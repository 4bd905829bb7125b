"""Equalization loss v2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from ltbench import Loss, Meta, Tune, hookimpl

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

    from ltbench import Moment, Outputs
    from ltbench.stages import State

_AT_START = 100.0
"""Ratio of a class without gradients so far, as in the authors' code: both of its weights are 1."""


class EqualizationV2(Loss, frozen=True):
    """Sigmoid loss that weighs the gradients of a class by those that it has had so far.

    g_c is the ratio of the summed gradients of class c as the true class to those as another one. With
    f(g) = 1 / (1 + exp(-gamma (g - mu))), the binary cross entropy of a class is multiplied by 1 + alpha (1 - f(g_c))
    where it is the true class, and by f(g_c) elsewhere; so a class that is mostly pushed down is pushed down less. The
    gradients are those of the weighted loss, |sigmoid(z) - target| times the weight, without class weights of another
    technique. The loss is the sum over the classes. With branches they share the gradients.

    Written for detection, where an image also has a class for the background, which is left out here. Predictions are
    the softmax of the logits: the predicted class is that of the sigmoid, but probabilities are not calibrated.

    Source: Tan et al., Equalization Loss v2: A New Gradient Balance Approach for Long-tailed Object Detection, CVPR
    2021, the gradient-guided weights of positive and negative gradients.
    """

    name = "equalization_v2"

    gamma: Annotated[float, Meta(gt=0, description="slope of f"), Tune(6.0, 20.0)] = 12.0
    mu: Annotated[float, Meta(ge=0, description="ratio of gradients where f is 1/2"), Tune(0.6, 0.95)] = 0.8
    alpha: Annotated[float, Meta(ge=0, description="largest additional weight of the true class"), Tune(2.0, 8.0)] = 4.0

    def remembers(self, features: int, classes: int, counts: Tensor, generator: Generator) -> State:
        zeros = counts.new_zeros(classes).float()
        return {"positive": zeros, "negative": zeros.clone()}

    def of(self, outputs: Outputs, labels: Tensor, counts: Tensor, moment: Moment) -> Tensor:
        """Return the loss of each sample, float [B]."""
        from torch.nn.functional import binary_cross_entropy_with_logits

        target = _one_hot(labels, outputs.logits)
        weights = self._weights(target, outputs.state)
        losses = [
            binary_cross_entropy_with_logits(logits, target, weight=weights, reduction="none").sum(1)
            for logits in outputs.branches
        ]
        return sum(losses[1:], losses[0]) / len(losses)

    def after_step(self, outputs: Outputs, batch: Any, network: nn.Module, state: State) -> State:
        parts = [(batch.labels_a, 1.0)] if batch.lam is None else [(batch.labels_a, batch.lam[:, None]),
                                                                  (batch.labels_b, 1 - batch.lam[:, None])]  # fmt: skip
        positive, negative = state["positive"], state["negative"]
        for labels, share in parts:
            target = _one_hot(labels, outputs.logits)
            gradients = share * self._weights(target, state) * (outputs.branches.sigmoid() - target).abs()
            positive = positive + (gradients * target).sum((0, 1))
            negative = negative + (gradients * (1 - target)).sum((0, 1))
        return {"positive": positive, "negative": negative}

    def _weights(self, target: Tensor, state: State) -> Tensor:
        """Return the weight of each sample and class, float [B, C]."""
        positive, negative = state["positive"], state["negative"]
        ratio = (positive / negative.clamp(min=1e-10)).where(negative > 0, positive.new_full((), _AT_START))
        kept = (self.gamma * (ratio - self.mu)).sigmoid()
        return target * (1 + self.alpha * (1 - kept)) + (1 - target) * kept


def _one_hot(labels: Tensor, logits: Tensor) -> Tensor:
    return logits.new_zeros(logits.shape).scatter(1, labels[:, None], 1.0)


@hookimpl
def ltbench_losses() -> list[type[Loss]]:
    return [EqualizationV2]
