"""The balanced predictions of experts for all categories and for the hard ones, as NCL has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from ltbench import Meta, Tune

if TYPE_CHECKING:
    from torch import Tensor

Hard = Annotated[
    float, Meta(gt=0, le=1, description="share of the categories that are hard, the true one included"), Tune(0.1, 0.6)
]
Others = Annotated[
    Literal["left_out", "zero"],
    Meta(description="what happens to the logits of the other categories; zero in the authors' code"),
]


def balanced_views(
    branches: Tensor, labels: Tensor, counts: Tensor, hard: float, others: Literal["left_out", "zero"]
) -> tuple[Tensor, Tensor]:
    """Return logits plus log counts of all categories, and of the hard ones: log-probabilities float [E, B, C] of both.

    Hard are the true category and those with the largest logits of the first expert, the same for all experts. What is
    left out has the log-probability minus infinity.
    """
    number = max(round(hard * branches.shape[2]), 1)
    ranked = branches[0].detach().scatter(1, labels[:, None], float("inf"))
    chosen = branches.new_zeros(ranked.shape).scatter(1, ranked.topk(number, dim=1).indices, 1.0)
    balanced = branches + counts.clamp(min=1).to(branches.dtype).log()
    partial = balanced * chosen if others == "zero" else balanced.masked_fill(chosen == 0, float("-inf"))
    return balanced.log_softmax(2), partial.log_softmax(2)
