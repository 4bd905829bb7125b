"""Nested balanced online distillation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar

from ltbench import Auxiliary, Meta, Tune, hookimpl
from ltbench_plugins._hard_categories import Hard, Others, balanced_views

if TYPE_CHECKING:
    from torch import Tensor

    from ltbench import Moment, Outputs


class NclDistillation(Auxiliary, frozen=True):
    """KL divergences between the balanced predictions of experts, of all and of hard categories.

    The divergence of each expert from the others, KL(p_j || p_i), averaged over the others j, and summed over the
    experts i; plus the same among the hard categories, which are those of the loss `ncl_loss`. Gradients flow through
    both predictions. Both have the same weight, 0.6 as the authors' configurations.

    Source: Li et al., Nested Collaborative Learning for Long-Tailed Visual Recognition, CVPR 2022, section 3.3, with the
    averaging of the authors' code.
    """

    name = "ncl_distillation"
    needs: ClassVar = {"branches": "experts learn from each other"}

    weight: Annotated[float, Meta(gt=0, description="factor of the term"), Tune(0.2, 1.0)] = 0.6
    hard: Hard = 0.3
    others: Others = "left_out"

    def without_effect(self) -> tuple[str, ...]:
        return ("others",) if self.hard == 1 else ()

    def term(self, views: Sequence[Outputs], labels: Tensor, counts: Tensor, moment: Moment) -> Tensor:
        """Return the term, float []."""
        branches = views[0].branches
        full, partial = balanced_views(branches, labels, counts, self.hard, self.others)
        return _divergences(full) + _divergences(partial)


def _divergences(log_p: Tensor) -> Tensor:
    """Return the sum over experts of the mean divergence from the others. log_p: float [E, B, C], may be -inf."""
    import torch

    experts = len(log_p)
    finite = log_p.masked_fill(log_p == float("-inf"), 0.0)  # 0 log 0 = 0, with finite gradients
    pairs = [
        (log_p[j].exp() * (finite[j] - finite[i])).sum(1) for i in range(experts) for j in range(experts) if i != j
    ]
    return torch.stack(pairs).sum(0).mean() / max(experts - 1, 1)


@hookimpl
def ltbench_auxiliaries() -> list[type[Auxiliary]]:
    return [NclDistillation]
