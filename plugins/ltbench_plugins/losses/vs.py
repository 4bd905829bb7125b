"""Vector-scaling loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from ltbench import Loss, Meta, Tune, hookimpl
from ltbench_plugins._notes import WITH_ANOTHER_CORRECTION
from ltbench_plugins.losses._priors import log_prior, nll

if TYPE_CHECKING:
    from torch import Tensor


class Vs(Loss, frozen=True):
    """Cross entropy of logits that are scaled and shifted by class counts (vector scaling).

    `loss = cross_entropy(d_c * z_c + tau * log prior_c, y)` with `d_c = (n_c / n_max) ** gamma`. The shift is
    effective early in training, the scale once all training images are classified correctly. With gamma = 0 it is
    `logit_adjust[tau]`, with tau = 0 `cdt[gamma]`, with both 0 cross entropy. The scale of the largest class is 1.

    The best values depend on the data. The defaults are usual for CIFAR-10 at imbalance factor 100; more classes need a
    smaller gamma (0.05 for CIFAR-100). The authors' script has other ones, `vs[gamma=0.3,tau=1]`, and in its example for
    CIFAR-10 `vs[gamma=0.2,tau=1.2]`.

    Source: Kini et al., Label-Imbalanced and Group-Sensitive Classification under Overparameterization, 2021, the
    definition of the VS-loss in section 2.
    """

    name = "vs"
    doubtful = WITH_ANOTHER_CORRECTION

    gamma: Annotated[float, Meta(ge=0, description="strength of the scale; 0 is logit adjustment"), Tune(0.05, 0.4)] = (
        0.15
    )
    tau: Annotated[
        float, Meta(ge=0, description="strength of the shift; 0 is class-dependent temperatures"), Tune(0.5, 2.0)
    ] = 1.25

    def per_sample(self, logits: Tensor, labels: Tensor, counts: Tensor) -> Tensor:
        """Return the loss of each sample, float [B]. logits: float [B, C]; labels: int64 [B]; counts: int64 [C]."""
        present = counts.clamp(min=1).to(logits.dtype)
        scale = (present / present.max()) ** self.gamma
        return nll(scale * logits + self.tau * log_prior(counts, logits), labels)


@hookimpl
def ltbench_losses() -> list[type[Loss]]:
    return [Vs]
