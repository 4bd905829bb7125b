"""Label-distribution-aware margin loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from ltbench import Loss, Meta, Tune, hookimpl
from ltbench_plugins.losses._priors import nll

if TYPE_CHECKING:
    from torch import Tensor


class Ldam(Loss, frozen=True):
    """Cross entropy with a margin for the true class that grows with its rarity.

    The margin `max_margin * (n_min / n_c) ** (1 / 4)` is subtracted from the logit of the true class, then all logits
    are multiplied by `scale`. With max_margin = 0 and scale = 1 it is cross entropy.

    This is only the loss. LDAM-DRW, the method of the paper, combines it with other stages:

    - `ldam[scale=30]` on the head `cosine`, where features and the weights of each class have norm 1 and there is no
      bias, so that logits are in [-1, 1]. On an ordinary linear layer, whose logits are unbounded, a margin of 0.5 is
      small and a scale of 30 multiplies the gradient by 30: at usual learning rates training collapses to chance
      accuracy. So the default scale is 1, as in the formula of the paper.
    - the weight `ens[reduction=weighted_mean]`: the authors divide the loss of a batch by the sum of its weights. The
      default of `ens` divides by its size, which on CIFAR-10-LT at imbalance factor 100 makes the loss 5.8 times
      smaller.
    - the regime `drw`: weights from epoch 160 of 200.

    The scale is part of the loss, not of the prediction: the probabilities of a cosine classifier of scale 1 are close to
    uniform, which metrics of calibration show. The predicted class is the same.

    Source: Cao et al., Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss, 2019,
    section 3.2.
    """

    name = "ldam"

    max_margin: Annotated[
        float, Meta(ge=0, description="margin of the rarest class, in logits before scaling"), Tune(0.2, 1.0)
    ] = 0.5
    scale: Annotated[
        float, Meta(gt=0, description="factor of the logits, after the margin is subtracted"), Tune(1.0, 30.0, log=True)
    ] = 1.0

    def per_sample(self, logits: Tensor, labels: Tensor, counts: Tensor) -> Tensor:
        """Return the loss of each sample, float [B]. logits: float [B, C]; labels: int64 [B]; counts: int64 [C]."""
        present = counts.clamp(min=1).to(logits.dtype)
        margin = self.max_margin * (present.min() / present) ** 0.25
        held = logits.scatter_add(1, labels[:, None], -margin[labels, None])
        return nll(self.scale * held, labels)


@hookimpl
def ltbench_losses() -> list[type[Loss]]:
    return [Ldam]
