"""Steps with a gradient whose parts are limited."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from ltbench import Meta, Tune, Update, hookimpl

if TYPE_CHECKING:
    from ltbench import Moment
    from ltbench.stages import Closure
    from torch import Tensor
    from torch.optim import Optimizer

LTBENCH_API = 1  # version of the ltbench hooks that this module implements


class MyUpdate(Update, frozen=True):
    """Replace large parts of the gradient by a limit.

    Source: FILL IN (authors, title, year, equation).
    """

    name = "my_update"

    limit: Annotated[
        float, Meta(gt=0, description="largest absolute value of a part of the gradient"), Tune(0.005, 0.5, log=True)
    ] = 0.05

    def step(self, closure: Closure, optimizer: Optimizer, labels: Tensor, counts: Tensor, moment: Moment) -> None:
        """Do one step. labels: int64 [B]; counts: int64 [C]."""
        closure()
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.grad.clamp_(-self.limit, self.limit)
        optimizer.step()


@hookimpl
def ltbench_updates() -> list[type[Update]]:
    return [MyUpdate]
