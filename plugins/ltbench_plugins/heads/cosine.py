"""Cosine classifier."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from ltbench import Head, Meta, Tune, hookimpl

if TYPE_CHECKING:
    from torch import Tensor, nn


class Cosine(Head, frozen=True):
    """Cosine classifier: `scale` times the cosine of the angle between features and class weights, without a bias.

    So neither the norm of the features nor that of the weights, which is larger for frequent classes, changes a decision.
    With the default scale the logits are in [-1, 1], as `ldam[scale=30]` needs them: it multiplies them itself. Other
    losses hardly learn from logits that small; for cross entropy use a scale of 16 to 30, or `learn`.

    Source: Gidaris and Komodakis, Dynamic Few-Shot Visual Learning without Forgetting, CVPR 2018, the
    cosine-similarity classifier (learnt scale, 10 at the start); Cao et al., Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss, NeurIPS
    2019 (scale 1, the loss has 30).
    """

    name = "cosine"

    scale: Annotated[
        float, Meta(gt=0, description="factor of the cosine, at the start if it is learnt"), Tune(1.0, 30.0, log=True)
    ] = 1.0
    learn: Annotated[bool, Meta(description="whether the factor is learnt"), Tune(False, True)] = False

    def build(self, features: int, classes: int, counts: Tensor) -> nn.Module:
        """Return the classifier: features float [B, D] -> logits float [B, C]. counts: int64 [C], not used."""
        from ltbench_plugins.heads._layers import CosineLayer

        return CosineLayer(features, classes, self.scale, learn=self.learn)


@hookimpl
def ltbench_heads() -> list[type[Head]]:
    return [Cosine]
