"""Dot-regression loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from ltbench import Loss, Meta, hookimpl

if TYPE_CHECKING:
    from torch import Tensor

    from ltbench import Moment, Outputs


class DotRegression(Loss, frozen=True):
    """Squared distance from 1 of the cosine between features and the direction of their class.

        loss = (cos(h, w_y) - 1) ** 2 / 2

    with the features h that the classifier is given and the weights w_y of the true class; features and weights have
    norm 1 (E_H = E_W = 1 in the paper). Nothing pushes the features away from the other classes, so the directions have
    to be fixed and far apart, which is what the head `etf` is for. `length = "own"` is the form of the authors' code,
    where the features keep their length: (w_y h - |h|) ** 2 / (2 |h|), without a gradient of |h|.

    Predictions are the softmax of the head's logits, which this loss does not see: the predicted class is the one with
    the largest cosine, but probabilities are not calibrated.

    Source: Yang et al., Inducing Neural Collapse in Imbalanced Learning: Do We Really Need a Learnable Classifier at the
    End of Deep Neural Network?, NeurIPS 2022, the definition of the dot-regression loss.
    """

    name = "dot_regression"
    needs: ClassVar = {"etf": "only fixed directions of the classes stay apart under this loss"}

    length: Annotated[
        Literal["fixed", "own"], Meta(description="length of the features: 1, or their own as in the authors' code")
    ] = "fixed"

    def of(self, outputs: Outputs, labels: Tensor, counts: Tensor, moment: Moment) -> Tensor:
        """Return the loss of each sample, float [B]."""
        from torch.nn.functional import normalize

        losses: list[Tensor] = []
        for features, layer in zip(outputs.features, outputs.layers, strict=True):
            cosines = (normalize(features, dim=1) * normalize(layer.weight, dim=1)[labels]).sum(1)
            if self.length == "own":
                lengths = features.norm(dim=1)
                fixed = lengths.detach()
                losses.append((lengths * cosines - fixed) ** 2 / (2 * fixed.clamp(min=1e-8)))
            else:
                losses.append((cosines - 1) ** 2 / 2)
        return sum(losses[1:], losses[0]) / len(losses)


@hookimpl
def ltbench_losses() -> list[type[Loss]]:
    return [DotRegression]
