"""Sharpness-aware minimisation for tail classes only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from ltbench import Meta, Tune, Update, hookimpl
from ltbench_plugins.updates._ascent import ascend, parameters_of

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

    from ltbench import Moment
    from ltbench.stages import Closure


class Imbsam(Update, frozen=True):
    """Step with the gradient of head classes at w, and of tail classes at the worst point nearby for them.

    The loss is split into `L_head + L_tail` by the class of each image. The gradient is that of L_head at w plus that of
    L_tail at w + rho g / |g|, with the gradient g of L_tail at w. Every step takes three passes over the batch. A blended
    image belongs to the class of its first label.

    The rarest classes are tail classes: `tail` of all classes, rounded, and one at least. The paper states a number of
    training images below which a class belongs to the tail; a share does not depend on the size of the data set.

    Source: Zhou et al., ImbSAM: A Closer Look at Sharpness-Aware Minimization in Class-Imbalanced Recognition, ICCV 2023,
    section 3.3.
    """

    name = "imbsam"
    passes = 3

    rho: Annotated[
        float, Meta(gt=0, description="distance of the point at which the gradient is taken"), Tune(0.02, 0.8, log=True)
    ] = 0.05
    tail: Annotated[
        float, Meta(gt=0, lt=1, description="share of the classes that are tail classes"), Tune(0.2, 0.6)
    ] = 1 / 3

    def step(self, closure: Closure, optimizer: Optimizer, labels: Tensor, counts: Tensor, moment: Moment) -> None:
        """Do one step."""
        import torch

        number = max(round(self.tail * len(counts)), 1)
        rarest = counts.argsort(descending=True, stable=True)[-number:]
        tail = torch.isin(labels, rarest).float()
        closure(1 - tail)
        head = [p.grad.clone() for p in parameters_of(optimizer) if p.grad is not None]
        closure(tail)
        parameters = parameters_of(optimizer)
        back = ascend(parameters, self.rho)
        closure(tail)
        back()
        with torch.no_grad():
            for parameter, gradient in zip(parameters, head, strict=True):
                if parameter.grad is not None:
                    parameter.grad.add_(gradient)
        optimizer.step()


@hookimpl
def ltbench_updates() -> list[type[Update]]:
    return [Imbsam]
