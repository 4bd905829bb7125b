"""Distillation of virtual examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from ltbench import Auxiliary, Meta, Moment, NotTuned, Outputs, Tune, hookimpl
from ltbench_plugins._notes import WITH_ANOTHER_CORRECTION
from ltbench_plugins.auxiliaries._distillation import divergence
from ltbench_plugins.losses.balanced_softmax import BalancedSoftmax

if TYPE_CHECKING:
    from torch import Tensor


class Dive(Auxiliary, frozen=True):
    """Balanced softmax and distance to a flattened balanced teacher, whose predictions are virtual examples (DiVE).

        term = (1 - alpha) mean_i BS_i + alpha T^2 mean_i KL( q_i || softmax(z_i / T) )
        q_ic proportional to softmax(t_i / T)_c ^ power

    BS: `balanced_softmax` of the logits z; t: logits of the teacher, by default trained with balanced softmax. An image
    of a frequent class is a virtual example of the rare classes that the teacher sees in it; temperature and power make
    their distribution flatter. The term replaces the loss. With alpha = 0 it is balanced softmax, with power = 1 plain
    distillation from the teacher.

    Source: He et al., Distilling Virtual Examples for Long-tailed Recognition, ICCV 2021, section 3.
    """

    name = "dive"
    replaces_loss = True
    conflicts = dict.fromkeys(("loss", "weight", "mix"), "the term is the whole objective")
    doubtful = WITH_ANOTHER_CORRECTION

    weight: Annotated[
        float, Meta(gt=0, description="factor of the objective"), NotTuned("acts like the learning rate")
    ] = 1.0
    teacher: Annotated[str, Meta(min_length=1, description="techniques of the teacher, with commas")] = (
        "balanced_softmax"
    )
    alpha: Annotated[
        float, Meta(gt=0, le=1, description="share of the distillation in the objective"), Tune(0.25, 0.75)
    ] = 0.5
    temperature: Annotated[float, Meta(gt=0, description="T: softens both predictions"), Tune(1.0, 6.0)] = 3.0
    power: Annotated[
        float, Meta(gt=0, description="power of the teacher's predictions; below 1 flattens them"), Tune(0.25, 1.0)
    ] = 0.5

    def term(self, views: Sequence[Outputs], labels: Tensor, counts: Tensor, moment: Moment) -> Tensor:
        """Return the term, float []. views: one; labels: int64 [B]; counts: int64 [C]. With branches, the mean over them."""
        outputs = views[0]
        hard = BalancedSoftmax().of(outputs, labels, counts, moment).mean()
        soft = divergence(outputs.branches, outputs.teacher, self.temperature, self.power)
        return (1 - self.alpha) * hard + self.alpha * soft


@hookimpl
def ltbench_auxiliaries() -> list[type[Auxiliary]]:
    return [Dive]
