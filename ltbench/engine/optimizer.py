"""The optimiser of a recipe, and its state as tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop

from ltbench.suite.recipe import Recipe


def make_optimizer(recipe: Recipe, parameters: list[nn.Parameter]) -> Optimizer:
    """Return the recipe's optimiser over these parameters; it skips those without a gradient, that is, frozen ones."""
    lr, decay, momentum = recipe.lr, recipe.weight_decay, recipe.momentum
    match recipe.optimizer:
        case "sgd":
            return SGD(parameters, lr, momentum=momentum, nesterov=recipe.nesterov, weight_decay=decay)
        case "adam":
            return Adam(parameters, lr, weight_decay=decay)
        case "adamw":
            return AdamW(parameters, lr, weight_decay=decay)
        case "rmsprop":
            return RMSprop(parameters, lr, momentum=momentum, weight_decay=decay)


def set_learning_rate(optimizer: Optimizer, rate: float) -> None:
    """Set the learning rate of the next step."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def optimizer_state(optimizer: Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the state as tensors and plain values, named `<index of the parameter>.<name>`."""
    flat = {f"{n}.{k}": v for n, entry in optimizer.state_dict()["state"].items() for k, v in entry.items()}
    tensors = {name: value for name, value in flat.items() if isinstance(value, Tensor)}
    return tensors, {name: value for name, value in flat.items() if name not in tensors}


def restore_optimizer(optimizer: Optimizer, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
    """Restore a state. Tensors get the memory layout of their parameter, as before saving: it decides bits of sums."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for name, value in {**tensors, **values}.items():
        index, _, key = name.partition(".")
        parameter = parameters[int(index)]
        if isinstance(value, Tensor) and value.shape == parameter.shape and value.dim():
            value = torch.empty_like(parameter, requires_grad=False).copy_(value)  # noqa: PLW2901
        optimizer.state[parameter][key] = value
