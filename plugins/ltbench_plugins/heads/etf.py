"""Fixed classifier whose class weights are a regular simplex."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from ltbench import Head, Meta, Tune, hookimpl
from ltbench.errors import JobFailed

if TYPE_CHECKING:
    from torch import Tensor, nn

_FIXED = "its classifier is fixed, so a phase that trains only the classifier has nothing to train"


class Etf(Head, frozen=True):
    """Fixed classifier: class weights of norm 1 with equal angles (a simplex equiangular tight frame).

    Only the backbone learns, and no class gets a larger angle than another. The features are normalised, so logits are
    `scale` times cosines. The loss of the paper is `dot_regression`, for which the scale is 1; for cross entropy use a
    scale of 16 to 30. The features must have at least C - 1 dimensions: the 64 of the residual networks for CIFAR are
    enough for CIFAR-10, but not for CIFAR-100.

    Source: Yang et al., Inducing Neural Collapse in Imbalanced Learning: Do We Really Need a Learnable Classifier at the
    End of Deep Neural Network?, NeurIPS 2022, the definition of the simplex equiangular tight frame.
    """

    name = "etf"
    conflicts = dict.fromkeys(("decoupling", "crt", "lws", "mislas_stage2", "weight_balancing"), _FIXED)

    scale: Annotated[float, Meta(gt=0, description="factor of the cosine"), Tune(1.0, 30.0, log=True)] = 1.0

    def build(self, features: int, classes: int, counts: Tensor) -> nn.Module:
        """Return the classifier: features float [B, D] -> logits float [B, C]. counts: int64 [C], not used.

        Raises `JobFailed` if the features have fewer than C - 1 dimensions.
        """
        from ltbench_plugins.heads._layers import SimplexLayer, simplex

        if features < classes - 1:
            raise JobFailed(
                f"head 'etf' needs at least {classes - 1} features for {classes} classes, and the model has {features}",
                why="directions at the same angle to each other span one dimension less than there are classes",
                fix="a wider model, or the head cosine",
            )
        return SimplexLayer(simplex(features, classes), self.scale)


@hookimpl
def ltbench_heads() -> list[type[Head]]:
    return [Etf]
