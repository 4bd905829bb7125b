"""RIDE's loss of each expert."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from ltbench import Loss, Meta, NotTuned, Tune, hookimpl
from ltbench_plugins.losses._priors import nll

if TYPE_CHECKING:
    from torch import Tensor

    from ltbench import Moment, Outputs


class RideLoss(Loss, frozen=True):
    """LDAM of each expert, on logits that are scaled already; their sum.

    The margin of the true class grows with its rarity: `scale * max_margin * (n_min / n_c) ** (1 / 4)` is
    subtracted from the logit of the true class, and nothing is multiplied. The logits are those of a cosine classifier,
    times `scale`. So with one branch, `ride_loss` of logits s z is `ldam[scale=s]` of z.

    The experts learn on their own: the losses are added, not averaged as by default. The second term of RIDE, which
    makes the experts differ, is the auxiliary `ride_diversity`. The authors' protocol is `experts`, both terms, a cosine
    head of scale 30 and, from epoch 160 of 200, the weights `ens[reduction=weighted_mean]` (regime `drw`); with decay
    5e-4 and Nesterov momentum. The routing of their second stage is not available here.

    Source: Wang et al., Long-tailed Recognition by Routing Diverse Distribution-Aware Experts, ICLR 2021, section 3.2.
    """

    name = "ride_loss"

    max_margin: Annotated[
        float, Meta(ge=0, description="margin of the rarest class, in logits before scaling"), Tune(0.2, 1.0)
    ] = 0.5
    scale: Annotated[
        float,
        Meta(gt=0, description="scale of the logits, a factor of the margin"),
        NotTuned("a factor of max_margin, which is tuned"),
    ] = 30.0

    def without_effect(self) -> tuple[str, ...]:
        return () if self.max_margin else ("scale",)

    def per_sample(self, logits: Tensor, labels: Tensor, counts: Tensor) -> Tensor:
        """Return the loss of each sample, float [B]. logits: float [B, C]; labels: int64 [B]; counts: int64 [C]."""
        present = counts.clamp(min=1).to(logits.dtype)
        margin = self.scale * self.max_margin * (present.min() / present) ** 0.25
        return nll(logits.scatter_add(1, labels[:, None], -margin[labels, None]), labels)

    def of(self, outputs: Outputs, labels: Tensor, counts: Tensor, moment: Moment) -> Tensor:
        first, *others = [self.per_sample(logits, labels, counts) for logits in outputs.branches]
        return sum(others, first)


@hookimpl
def ltbench_losses() -> list[type[Loss]]:
    return [RideLoss]
