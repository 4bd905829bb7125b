"""Seesaw loss."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

from ltbench import Loss, Meta, NotTuned, Tune, hookimpl
from ltbench_plugins._notes import WITH_ANOTHER_CORRECTION
from ltbench_plugins.losses._priors import nll

if TYPE_CHECKING:
    from torch import Tensor


class Seesaw(Loss, frozen=True):
    """Cross entropy in which frequent classes push rare ones down less, except false positives.

    For label i, `p_i = exp(z_i) / (sum over j of s_ij exp(z_j))` with `s_ij = m_ij * c_ij` and s_ii = 1. The mitigation
    factor is m_ij = (n_j / n_i) ** p if class j is rarer than i, else 1. The compensation factor is
    c_ij = (sigma_j / sigma_i) ** q if the softmax probability of j is above that of the label, else 1; no gradient
    passes through it. With p = 0 and q = 0 it is cross entropy.

    The authors count the images seen so far, for data sets of unknown size. Here n_c are the class counts of the
    training subset, to which those counts converge. Their code limits sigma_i from below (`eps = 0.01`), which the
    paper does not. The normalised classifier of the paper is not part of the loss.

    Source: Wang et al., Seesaw Loss for Long-Tailed Instance Segmentation, CVPR 2021, section 3.1 (the
    definition of the loss and of its mitigation and compensation factors).
    """

    name = "seesaw"
    doubtful = WITH_ANOTHER_CORRECTION

    p: Annotated[
        float, Meta(ge=0, description="strength of the mitigation by class counts; 0: none"), Tune(0.4, 1.2)
    ] = 0.8
    q: Annotated[
        float, Meta(ge=0, description="strength of the compensation of false positives; 0: none"), Tune(0.5, 3.0)
    ] = 2.0
    eps: Annotated[
        float,
        Meta(ge=0, lt=1, description="lower bound of the label's probability in the compensation; 0: none (paper)"),
        NotTuned("belongs to the form of the authors' code"),
    ] = 0.0

    def without_effect(self) -> tuple[str, ...]:
        return () if self.q else ("eps",)

    def per_sample(self, logits: Tensor, labels: Tensor, counts: Tensor) -> Tensor:
        """Return the loss of each sample, float [B]. logits: float [B, C]; labels: int64 [B]; counts: int64 [C]."""
        log_n = counts.clamp(min=1).to(logits.dtype).log()
        mitigation = self.p * (log_n - log_n[labels, None]).clamp(max=0)
        log_p = logits.detach().log_softmax(1)
        of_label = log_p.gather(1, labels[:, None])
        if self.eps:
            of_label = of_label.clamp(min=math.log(self.eps))
        # Both factors are one for the label itself, as a logarithm.
        compensation = self.q * (log_p - of_label).clamp(min=0)
        return nll(logits + mitigation + compensation, labels)


@hookimpl
def ltbench_losses() -> list[type[Loss]]:
    return [Seesaw]
