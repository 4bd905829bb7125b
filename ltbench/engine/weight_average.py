"""Which weights predict: the last ones, or their exponential moving average."""

from __future__ import annotations

from typing import Protocol

from torch import nn


class Average(Protocol):
    """What follows the weights of a training; `module` is the network that predicts."""

    module: nn.Module

    def update(self, network: nn.Module, step: int) -> None:
        """Take the weights after `step` steps in."""


class Last:
    """No average: the network itself."""

    def __init__(self, network: nn.Module) -> None:
        self.module = network

    def update(self, network: nn.Module, step: int) -> None:
        """Do nothing."""


def make_average(network: nn.Module, decay: float | None) -> Average:
    """Return timm's moving average of weights and batch statistics with this decay, or none for None.

    The decay rises to its value as 1 - (1 + step)^(-2/3), timm's warm-up, so that the average of a short training is
    not mostly its initial weights.
    """
    if decay is None:
        return Last(network)
    from timm.utils.model_ema import ModelEmaV3  # three seconds: paid only by recipes that ask for it

    average: Average = ModelEmaV3(network, decay=decay, use_warmup=True)
    return average
