"""Class-dependent temperatures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from ltbench import Loss, Meta, Tune, hookimpl
from ltbench_plugins._notes import WITH_ANOTHER_CORRECTION
from ltbench_plugins.losses._priors import nll

if TYPE_CHECKING:
    from torch import Tensor


class Cdt(Loss, frozen=True):
    """Cross entropy of logits with a temperature per class, higher for rare classes.

    `loss = cross_entropy(z_c / a_c, y)` with `a_c = (n_max / n_c) ** gamma`; the plain logits at test time. A rare
    class has to reach larger logits in training, which compensates for the deviation of its features in testing. With
    gamma = 0 it is cross entropy, and `vs[gamma=...,tau=0]` is the same loss.

    The authors choose gamma on a grid, from 0 to 0.4 for CIFAR-10 and from 0 to 0.2 for CIFAR-100. The default is in
    both.

    Source: Ye et al., Identifying and Compensating for Feature Deviation in Imbalanced Deep Learning, arXiv 2001.01385,
    2020, the definition of the CDT loss.
    """

    name = "cdt"
    doubtful = WITH_ANOTHER_CORRECTION

    gamma: Annotated[
        float, Meta(ge=0, description="power of the temperatures; 0 is cross entropy"), Tune(0.05, 0.4)
    ] = 0.2

    def per_sample(self, logits: Tensor, labels: Tensor, counts: Tensor) -> Tensor:
        """Return the loss of each sample, float [B]. logits: float [B, C]; labels: int64 [B]; counts: int64 [C]."""
        present = counts.clamp(min=1).to(logits.dtype)
        return nll(logits * (present / present.max()) ** self.gamma, labels)


@hookimpl
def ltbench_losses() -> list[type[Loss]]:
    return [Cdt]
