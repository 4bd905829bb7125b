"""The weights used for prediction: the last ones, or their exponential moving average."""

from __future__ import annotations

from typing import Protocol

from torch import nn


class Average(Protocol):
    """An average of the weights of a training; `module` is the network used for prediction."""

    module: nn.Module

    def update(self, network: nn.Module, step: int) -> None:
        """Add the weights after `step` steps."""


class LastWeights:
    """No average: the network with its last weights."""

    def __init__(self, network: nn.Module) -> None:
        self.module = network

    def update(self, network: nn.Module, step: int) -> None:
        """Do nothing."""


def make_average(network: nn.Module, decay: float | None) -> Average:
    """Return timm's moving average of weights and batch statistics with this decay; for None, no average.

    The decay rises to its value as 1 - (1 + step)^(-2/3), timm's warm-up: otherwise the average of a short training
    would consist mostly of its initial weights.
    """
    if decay is None:
        return LastWeights(network)
    from timm.utils.model_ema import ModelEmaV3  # takes three seconds, so only if a recipe needs it

    average: Average = ModelEmaV3(network, decay=decay, use_warmup=True)
    return average
