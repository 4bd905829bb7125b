"""Logit-adjusted cross entropy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from ltbench import Loss, Meta, Tune, hookimpl
from ltbench_plugins._notes import WITH_ANOTHER_CORRECTION
from ltbench_plugins.losses._priors import log_prior, nll

if TYPE_CHECKING:
    from torch import Tensor


class LogitAdjust(Loss, frozen=True):
    """Cross entropy with the logarithm of the class prior added to the logits during training.

    `loss = cross_entropy(z + tau * log prior, y)`. As the loss already contains the prior, the logits z are
    those for balanced classes, and nothing is added at test time. With tau = 0 it is cross entropy, with tau = 1
    `balanced_softmax`.

    Source: Menon et al., Long-tail Learning via Logit Adjustment, 2021, equation 10.
    """

    name = "logit_adjust"
    doubtful = WITH_ANOTHER_CORRECTION

    tau: Annotated[
        float, Meta(ge=0, description="strength: 0 is cross entropy, 1 adds the full log prior"), Tune(0.25, 2.0)
    ] = 1.0

    def per_sample(self, logits: Tensor, labels: Tensor, counts: Tensor) -> Tensor:
        """Return the loss of each sample, float [B]. logits: float [B, C]; labels: int64 [B]; counts: int64 [C]."""
        return nll(logits + self.tau * log_prior(counts, logits), labels)


@hookimpl
def ltbench_losses() -> list[type[Loss]]:
    return [LogitAdjust]
