"""BalPoE's loss of each expert."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from ltbench import Loss, Meta, Tune, hookimpl
from ltbench.errors import ParameterError
from ltbench_plugins._notes import WITH_ANOTHER_CORRECTION
from ltbench_plugins.losses._experts import NEEDS_EXPERTS
from ltbench_plugins.losses._priors import log_prior, nll

if TYPE_CHECKING:
    from torch import Tensor

    from ltbench import Moment, Outputs


class BalpoeLoss(Loss, frozen=True):
    """Logit-adjusted cross entropy of each expert, with a strength of its own; their mean.

    The logits of expert e get tau_e log prior, with tau_e in equal steps from `low` to `high`: 0, 1 and 2 for three
    experts by default. Then the mean of their logits, a product of experts, is that for balanced classes, as tau is 1 on
    average. With low = high it is `logit_adjust[tau=low]`.

    The product needs calibrated experts, for which the authors use mixup. They use a cosine head of scale 30.

    Source: Aimar et al., Balanced Product of Calibrated Experts for Long-Tailed Recognition, CVPR 2023, section 3.
    """

    name = "balpoe_loss"
    needs = NEEDS_EXPERTS
    doubtful = WITH_ANOTHER_CORRECTION

    low: Annotated[float, Meta(ge=0, description="strength of the adjustment for the first expert"), Tune(0.0, 1.0)] = (
        0.0
    )
    high: Annotated[float, Meta(ge=0, description="strength of the adjustment for the last expert"), Tune(1.0, 3.0)] = (
        2.0
    )

    def check(self) -> None:
        if self.low > self.high:
            raise ParameterError(
                f"loss '{self.name}' takes low up to high, but they are {self.low:g} and {self.high:g}",
                fix="exchange them",
            )

    def of(self, outputs: Outputs, labels: Tensor, counts: Tensor, moment: Moment) -> Tensor:
        """Return the loss of each sample, float [B]."""
        branches = outputs.branches
        steps = max(len(branches) - 1, 1)
        taus = [self.low + (self.high - self.low) * number / steps for number in range(len(branches))]
        prior = log_prior(counts, branches)
        first, *others = [nll(logits + tau * prior, labels) for logits, tau in zip(branches, taus, strict=True)]
        return sum(others, first) / len(branches)


@hookimpl
def ltbench_losses() -> list[type[Loss]]:
    return [BalpoeLoss]
