"""Label smoothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from ltbench import Loss, Meta, hookimpl
from ltbench.errors import JobFailed

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

    Source: Szegedy et al., Rethinking the Inception Architecture for Computer Vision, 2016, section 7; report
    schmidt, "Advanced Loss Function with Label Smoothing".
    """

    name = "label_smooth"

    eps: Annotated[float, Meta(ge=0, lt=1, description="share of the target that is spread")] = 0.2
    off: Annotated[
        Literal["k_minus_1", "k"],
        Meta(description="spread over the other classes (k_minus_1) or over all classes (k)"),
    ] = "k_minus_1"

    def without_effect(self) -> tuple[str, ...]:
        return () if self.eps else ("off",)

    def per_sample(self, logits: Tensor, labels: Tensor, counts: Tensor) -> Tensor:
        """Return the loss of each sample, float [B]. logits: float [B, C]; labels: int64 [B]; counts: int64 [C]."""
        log_p = logits.log_softmax(1)
        of_true = log_p.gather(1, labels[:, None]).squeeze(1)
        of_all = log_p.sum(1)
        classes = logits.shape[1]
        if self.off == "k":
            return -(1 - self.eps) * of_true - self.eps / classes * of_all
        if classes == 1:
            raise JobFailed(
                "loss 'label_smooth' needs at least two classes",
                why="it spreads a share of the target over the other classes",
                fix="leave label_smooth out",
            )
        return -(1 - self.eps) * of_true - self.eps / (classes - 1) * (of_all - of_true)


@hookimpl
def ltbench_losses() -> list[type[Loss]]:
    return [LabelSmooth]
