"""Nested individual learning."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ltbench import Loss, hookimpl
from ltbench_plugins._hard_categories import Hard, Others, balanced_views
from ltbench_plugins._notes import WITH_ANOTHER_CORRECTION
from ltbench_plugins.losses._experts import NEEDS_EXPERTS

if TYPE_CHECKING:
    from torch import Tensor

    from ltbench import Moment, Outputs


class NclLoss(Loss, frozen=True):
    """Balanced softmax of each expert, among all and among hard categories; their sum.

    Both add log n_c to the logits (balanced softmax). The hard categories of an image are the true one and those with
    the largest logits of the first expert; by default a softmax over them leaves the others out, while the authors' code
    sets the logits of the others to zero. With hard = 1 both terms are equal.

    The authors' networks share nothing (`experts[blocks=99]`), and learn from each other by the auxiliary
    `ncl_distillation`; their self-supervised term is not available here.

    Source: Li et al., Nested Collaborative Learning for Long-Tailed Visual Recognition, CVPR 2022, section 3.2 and 3.4.
    """

    name = "ncl_loss"
    needs = NEEDS_EXPERTS
    doubtful = WITH_ANOTHER_CORRECTION

    hard: Hard = 0.3
    others: Others = "left_out"

    def without_effect(self) -> tuple[str, ...]:
        return ("others",) if self.hard == 1 else ()

    def of(self, outputs: Outputs, labels: Tensor, counts: Tensor, moment: Moment) -> Tensor:
        """Return the loss of each sample, float [B]."""
        views = balanced_views(outputs.branches, labels, counts, self.hard, self.others)
        index = labels[None, :, None].expand(len(outputs.branches), -1, 1)
        return -(views[0].gather(2, index) + views[1].gather(2, index)).squeeze(2).sum(0)


@hookimpl
def ltbench_losses() -> list[type[Loss]]:
    return [NclLoss]
