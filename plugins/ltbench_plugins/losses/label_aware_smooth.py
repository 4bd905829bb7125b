"""Label-aware smoothing."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Literal

from ltbench import Loss, Meta, Tune, hookimpl
from ltbench_plugins.losses._smoothing import Off, smoothed

if TYPE_CHECKING:
    from torch import Tensor


class LabelAwareSmooth(Loss, frozen=True):
    """Label smoothing that is stronger for frequent classes.

    Their predictions are most over-confident. The share of the target that is spread is
    `eps_y = tail + (head - tail) * f(r)` with `r = (n_y - n_min) / (n_max - n_min)`:

        shape = "concave"  f = sin(pi r / 2)        (the default)
        shape = "linear"   f = r
        shape = "convex"   f = 1 - cos(pi r / 2)

    The true class keeps 1 - eps_y, and every other one of K classes gets eps_y / (K - 1); in the authors' code eps_y /
    K for all classes (`off = "k"`). With balanced classes, or head = tail, it is `label_smooth[eps=head]`.

    The defaults are those for CIFAR-100-LT. For CIFAR-10-LT the authors use `head=0.3,tail=0`. They apply it in the
    second stage of MiSLAS, to the classifier.

    Source: Zhong et al., Improving Calibration for Long-Tailed Recognition, CVPR 2021, section 3.2
    (label-aware smoothing; the concave, linear and convex forms).
    """

    name = "label_aware_smooth"

    head: Annotated[float, Meta(ge=0, lt=1, description="share spread for the most frequent class"), Tune(0.2, 0.5)] = (
        0.4
    )
    tail: Annotated[float, Meta(ge=0, lt=1, description="share spread for the rarest class"), Tune(0.0, 0.15)] = 0.1
    shape: Annotated[
        Literal["concave", "linear", "convex"],
        Meta(description="how the share grows with the class count"),
        Tune("concave", "linear", "convex"),
    ] = "concave"
    off: Off = "k_minus_1"

    def without_effect(self) -> tuple[str, ...]:
        return (*(() if self.head != self.tail else ("shape",)), *(() if self.head or self.tail else ("off",)))

    def shares(self, counts: Tensor) -> Tensor:
        """Return the share of the target that is spread for each class, float64 [C]. counts: int64 [C]."""
        import torch

        present = counts.double()
        least, most = present.aminmax()
        ratio = (present - least) / (most - least) if most > least else torch.ones_like(present)
        grown = {
            "concave": (math.pi / 2 * ratio).sin(),
            "linear": ratio,
            "convex": 1 - (math.pi / 2 * ratio).cos(),
        }[self.shape]
        return self.tail + (self.head - self.tail) * grown

    def per_sample(self, logits: Tensor, labels: Tensor, counts: Tensor) -> Tensor:
        """Return the loss of each sample, float [B]. logits: float [B, C]; labels: int64 [B]; counts: int64 [C]."""
        return smoothed(self, logits, labels, self.shares(counts).to(logits.dtype)[labels], self.off)


@hookimpl
def ltbench_losses() -> list[type[Loss]]:
    return [LabelAwareSmooth]
