"""Cross entropy with a softened target."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from ltbench import Loss, Meta
from ltbench.errors import JobFailed

if TYPE_CHECKING:
    from torch import Tensor

Off = Annotated[
    Literal["k_minus_1", "k"],
    Meta(description="spread over the other classes (k_minus_1) or over all classes (k)"),
]


def smoothed(loss: Loss, logits: Tensor, labels: Tensor, eps: Tensor | float, off: Off) -> Tensor:
    """Return the cross entropy of each sample with a share `eps` of its target spread, float [B].

    eps: one number, or float [B]. Raises `JobFailed`, naming the loss, for a single class if it has no others.
    """
    log_p = logits.log_softmax(1)
    of_true = log_p.gather(1, labels[:, None]).squeeze(1)
    of_all = log_p.sum(1)
    classes = logits.shape[1]
    if off == "k":
        return -(1 - eps) * of_true - eps / classes * of_all
    if classes == 1:
        raise JobFailed(
            f"loss '{loss.name}' needs at least two classes",
            why="it spreads a share of the target over the other classes",
            fix=f"leave {loss.name} out",
        )
    return -(1 - eps) * of_true - eps / (classes - 1) * (of_all - of_true)
