"""Asymmetric loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from ltbench import Loss, Meta, Tune, hookimpl
from ltbench_plugins.losses._others import log_rest

if TYPE_CHECKING:
    from torch import Tensor


class Asymmetric(Loss, frozen=True):
    """Focal loss with smoothed labels that focuses the true class and the others differently.

    `loss = -sum over c of t_c * w_c * log p_c` with the softmax p. The true class has the target `1 - eps + eps / C`
    and the weight `(1 - p) ** gamma_pos`, every other class `eps / C` and `p_c ** gamma_neg`. With eps = 0 it is
    `focal[gamma=gamma_pos]`, with both gammas 0 it is `label_smooth[eps=...,off=k]`.

    The equation of the paper is for several labels per image. This is the form of the authors' code for a single label,
    with its defaults, which is also timm's `AsymmetricLossSingleLabel`. Here the powers have a finite gradient for
    every gamma.

    Source: Ridnik et al., Asymmetric Loss For Multi-Label Classification, ICCV 2021, asymmetric focusing, and the
    loss for a single label in its code.
    """

    name = "asymmetric"

    gamma_pos: Annotated[float, Meta(ge=0, description="focusing of the true class; 0: none"), Tune(0.0, 2.0)] = 1.0
    gamma_neg: Annotated[float, Meta(ge=0, description="focusing of the other classes; 0: none"), Tune(1.0, 6.0)] = 4.0
    eps: Annotated[
        float, Meta(ge=0, lt=1, description="share of the target that is spread over all classes"), Tune(0.05, 0.3)
    ] = 0.1

    def without_effect(self) -> tuple[str, ...]:
        return () if self.eps else ("gamma_neg",)

    def per_sample(self, logits: Tensor, labels: Tensor, counts: Tensor) -> Tensor:
        """Return the loss of each sample, float [B]. logits: float [B, C]; labels: int64 [B]; counts: int64 [C]."""
        log_p = logits.log_softmax(1)
        of_label = log_p.gather(1, labels[:, None]).squeeze(1)
        spread = self.eps / logits.shape[1]
        positive = of_label
        if self.gamma_pos:  # 0 times the logarithm is undefined where the other classes have no probability
            positive = (self.gamma_pos * log_rest(logits, labels)).exp() * of_label
        others = (self.gamma_neg * log_p).exp() * log_p
        negative = others.sum(1) - others.gather(1, labels[:, None]).squeeze(1)
        return -(1 - self.eps + spread) * positive - spread * negative


@hookimpl
def ltbench_losses() -> list[type[Loss]]:
    return [Asymmetric]
