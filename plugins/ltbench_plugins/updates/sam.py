"""Sharpness-aware minimisation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from ltbench import Meta, Tune, Update, hookimpl
from ltbench_plugins.updates._ascent import ascend, parameters_of

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

    from ltbench import Moment
    from ltbench.stages import Closure


class Sam(Update, frozen=True):
    """Step with the gradient at the worst point nearby: w + rho g / |g|, with the gradient g at w.

    Every step takes two passes over the batch. The weight decay of the optimiser acts on w and is no part of g.

    Long-tailed recognition needs larger values of rho than the default of the paper. Rangwani et al. use 0.1 for cross
    entropy, 0.5 with `drw` and 0.8 for LDAM with `drw` on CIFAR-10-LT at imbalance factor 100.

    Source: Foret et al., Sharpness-Aware Minimization for Efficiently Improving Generalization, ICLR 2021, equations 2
    and 3 and algorithm 1; Rangwani et al., Escaping Saddle Points for Effective Generalization on Class-Imbalanced Data,
    NeurIPS 2022.
    """

    name = "sam"
    passes = 2

    rho: Annotated[
        float, Meta(gt=0, description="distance of the point at which the gradient is taken"), Tune(0.02, 0.8, log=True)
    ] = 0.05

    def step(self, closure: Closure, optimizer: Optimizer, labels: Tensor, counts: Tensor, moment: Moment) -> None:
        """Do one step."""
        closure()
        back = ascend(parameters_of(optimizer), self.rho)
        closure()
        back()
        optimizer.step()


@hookimpl
def ltbench_updates() -> list[type[Update]]:
    return [Sam]
