"""Label smoothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from ltbench import Loss, Meta, Tune, hookimpl
from ltbench_plugins.losses._smoothing import Off, smoothed

if TYPE_CHECKING:
    from torch import Tensor


class LabelSmooth(Loss, frozen=True):
    """Cross entropy with a softened target.

    Most of the target's mass stays on the true class and the rest is spread, so that margins do not grow without bound.
    There are two conventions for K classes:

        off = "k_minus_1"  true class 1 - eps,          every other class eps / (K - 1)   (report schmidt; the default)
        off = "k"          true class 1 - eps + eps/K,  every other class eps / K         (Szegedy et al., torch)

    The second with eps is the same as the first with eps (K - 1) / K. The default eps of 0.2 was best in report schmidt.
    With eps = 0 both are cross entropy. The first needs at least two classes.

    A class weight multiplies the whole loss of a sample, by its label, as in Cui et al.; torch's `cross_entropy` with
    `weight` and `label_smoothing` weighs the term of each class in the target instead.

    Source: Szegedy et al., Rethinking the Inception Architecture for Computer Vision, 2016, section 7; report
    schmidt, "Advanced Loss Function with Label Smoothing".
    """

    name = "label_smooth"

    eps: Annotated[float, Meta(ge=0, lt=1, description="share of the target that is spread"), Tune(0.05, 0.3)] = 0.2
    off: Off = "k_minus_1"

    def without_effect(self) -> tuple[str, ...]:
        return () if self.eps else ("off",)

    def per_sample(self, logits: Tensor, labels: Tensor, counts: Tensor) -> Tensor:
        """Return the loss of each sample, float [B]. logits: float [B, C]; labels: int64 [B]; counts: int64 [C]."""
        return smoothed(self, logits, labels, self.eps, self.off)


@hookimpl
def ltbench_losses() -> list[type[Loss]]:
    return [LabelSmooth]
