"""Knowledge distillation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from ltbench import Auxiliary, Meta, Moment, Outputs, Tune, hookimpl
from ltbench_plugins.auxiliaries._distillation import divergence

if TYPE_CHECKING:
    from torch import Tensor


class Distill(Auxiliary, frozen=True):
    """Distance to the softened predictions of a teacher, added to the loss.

        term = T^2 mean_i KL( softmax(t_i / T) || softmax(z_i / T) )

    t: logits of the teacher for the same image, z: those of the network. The teacher is a training of its own with the
    model of the cell, by default the plain one; `teacher` names its techniques: `distill[teacher=balanced_softmax]`. With
    weight w the loss has a share of 1 / (1 + w) of the objective, up to its scale. In the paper's speech recognition
    both have the share 1/2, and T is 2.

    Source: Hinton et al., Distilling the Knowledge in a Neural Network, arXiv 2015, sections 2 and 4.
    """

    name = "distill"

    teacher: Annotated[str, Meta(min_length=1, description="techniques of the teacher, with commas")] = "cross_entropy"
    temperature: Annotated[float, Meta(gt=0, description="T: softens both predictions"), Tune(1.0, 6.0)] = 2.0

    def term(self, views: Sequence[Outputs], labels: Tensor, counts: Tensor, moment: Moment) -> Tensor:
        """Return the term, float []. views: one. With branches, the mean over them."""
        return divergence(views[0].branches, views[0].teacher, self.temperature)


@hookimpl
def ltbench_auxiliaries() -> list[type[Auxiliary]]:
    return [Distill]
