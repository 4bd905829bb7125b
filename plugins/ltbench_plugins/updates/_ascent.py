"""A step of gradient ascent of fixed length, and the way back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer


def parameters_of(optimizer: Optimizer) -> list[Tensor]:
    """Return the parameters that have a gradient."""
    return [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]


def ascend(parameters: list[Tensor], length: float) -> Callable[[], None]:
    """Move the parameters along their gradient, by `length` in all; return a function that moves them back exactly."""
    import torch

    gradients = [p.grad for p in parameters if p.grad is not None]
    norm = torch.stack([gradient.norm() for gradient in gradients]).norm()
    before = [p.detach().clone() for p in parameters]
    with torch.no_grad():
        # A step without a gradient, such as that of a batch without images of the tail, does not move.
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.add_(gradient * (length / (norm + 1e-12)))

    def back() -> None:
        with torch.no_grad():
            for parameter, value in zip(parameters, before, strict=True):
                parameter.copy_(value)

    return back
