"""The optimiser of a recipe, and its state as tensors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop

from ltbench.engine.parameter_groups import ParameterRules
from ltbench.suite.recipe import Recipe


def make_optimizer(
    recipe: Recipe, parameters: Iterable[nn.Parameter], rules: ParameterRules | None = None
) -> Optimizer:
    """Return the recipe's optimiser over the parameters that may learn by the rules; without rules, all may.

    It skips those without a gradient, that is, those that are frozen in a phase.
    """
    groups: Any = [
        {"params": members, "lr_factor": rates.lr, "decay_factor": rates.decay, "weight_decay": recipe.weight_decay * rates.decay}
        for rates, members in (rules or ParameterRules()).groups(parameters)
    ]  # fmt: skip
    # On a GPU, a step of all parameters is one kernel for many of them; None is torch's default, which is for RMSprop the best.
    fused = True if all(p.device.type == "cuda" for group in groups for p in group["params"]) else None
    match recipe.optimizer:
        case "sgd":
            return SGD(groups, recipe.lr, momentum=recipe.momentum, nesterov=recipe.nesterov, fused=fused)
        case "adam":
            return Adam(groups, recipe.lr, fused=fused)
        case "adamw":
            return AdamW(groups, recipe.lr, fused=fused)
        case "rmsprop":
            return RMSprop(groups, recipe.lr, momentum=recipe.momentum)


def set_learning_rate(optimizer: Optimizer, rate: float) -> None:
    """Set the learning rate of the next step: this rate, times the factor of each group."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["lr_factor"]


def set_weight_decay(optimizer: Optimizer, decay: float) -> None:
    """Set the weight decay of the next steps: this decay, times the factor of each group."""
    for group in optimizer.param_groups:
        group["weight_decay"] = decay * group["decay_factor"]


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
        elif isinstance(value, Tensor) and optimizer.defaults.get("fused"):
            value = value.to(parameter.device)  # noqa: PLW2901 - the counts of steps, which a fused step keeps on the GPU
        optimizer.state[parameter][key] = value
