"""Label-distribution-aware margin loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from ltbench import Loss, Meta, hookimpl
from ltbench_plugins.losses._priors import nll

if TYPE_CHECKING:
    from torch import Tensor


class Ldam(Loss, frozen=True):
    """Cross entropy with a margin for the true class that grows with its rarity.

    The margin `max_margin * (n_min / n_c) ** (1 / 4)` is subtracted from the logit of the true class, then all logits
    are multiplied by `scale`. With max_margin = 0 and scale = 1 it is cross entropy. LDAM-DRW is this loss with the
    weight `ens` and the regime `drw`.

    The authors' experiments normalise features and classifier weights, so that logits are in [-1, 1], and multiply
    them by 30. The models here have a plain linear layer with unbounded logits, so the default scale is 1, as in the
    formula of the paper; a scale of 30 multiplies the gradient by 30 and training collapses at usual learning rates.
    Compared with such logits a margin of 0.5 is small: results here are of the loss, not of the paper's whole recipe.

    Source: Cao et al., Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss, 2019,
    section 3.2.
    """

    name = "ldam"

    max_margin: Annotated[float, Meta(ge=0, description="margin of the rarest class, in logits before scaling")] = 0.5
    scale: Annotated[float, Meta(gt=0, description="factor on the logits after the margin is taken off")] = 1.0

    def per_sample(self, logits: Tensor, labels: Tensor, counts: Tensor) -> Tensor:
        """Return the loss of each sample, float [B]. logits: float [B, C]; labels: int64 [B]; counts: int64 [C]."""
        present = counts.clamp(min=1).to(logits.dtype)
        margin = self.max_margin * (present.min() / present) ** 0.25
        held = logits.scatter_add(1, labels[:, None], -margin[labels, None])
        return nll(self.scale * held, labels)


@hookimpl
def ltbench_losses() -> list[type[Loss]]:
    return [Ldam]
