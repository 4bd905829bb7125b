"""The moving average of the weights of a training, with which it predicts."""

from __future__ import annotations

from typing import Any

from torch import nn

from ltbench.suite.recipe import Recipe


def moving_average(network: nn.Module, recipe: Recipe) -> Any:
    """Return timm's moving average of weights and batch statistics; None for a recipe without one.

    Its first step sets the average, whatever the decay. From there the decay of step t is min(ema, 1 - t^(-2/3))
    (timm's warm-up), or ema throughout with `ema_warmup = false`.
    """
    if recipe.ema is None:
        return None
    from timm.utils.model_ema import ModelEmaV3  # takes three seconds, so only if a recipe needs it

    return ModelEmaV3(network, decay=recipe.ema, use_warmup=recipe.ema_warmup)
