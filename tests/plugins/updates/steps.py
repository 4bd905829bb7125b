"""A step of an update on a loss of two parameters, worked out by hand in the tests."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ltbench import Moment, Update

COUNTS = torch.tensor([500, 20])
START = Moment(epoch=0, epochs=1.0, step=0, steps=10)


def stepped(
    update: Update, losses: Callable[[Tensor], Tensor], start: list[float], labels: list[int], lr: float = 0.1
) -> tuple[list[float], list[list[float]]]:
    """Return the weights after one step of plain SGD, and the weights at each call of the closure.

    losses: weights -> loss of each sample, whose mean is minimised.
    """
    weights = torch.nn.Parameter(torch.tensor(start))
    optimizer = torch.optim.SGD([weights], lr)
    seen: list[list[float]] = []

    def closure(factor: Tensor | None = None) -> Tensor:
        optimizer.zero_grad()
        each = losses(weights)
        loss = (each if factor is None else factor * each).mean()
        loss.backward()
        seen.append(weights.tolist())
        return loss.detach()

    update.step(closure, optimizer, torch.tensor(labels), COUNTS, START)
    return weights.tolist(), seen
