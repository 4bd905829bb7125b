"""The recipe: all settings of a training that are not techniques."""

from __future__ import annotations

import importlib.util
import itertools
import math
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from ltbench.errors import UnknownName, UsageError

MOST = 1000
"""Most recipes of a sweep."""


class Recipe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Optimiser, schedule, length and precision of a training.

    Exactly one of `epochs` and `steps` states the length. Optimisers have the lower-case names of torch's.
    """

    epochs: Annotated[int, Meta(ge=1, le=10**6)] | None = None
    """Length in passes over the training images."""
    steps: Annotated[int, Meta(ge=1, le=10**9)] | None = None
    """Optimiser steps instead of epochs, so that every imbalance factor costs the same."""
    batch_size: Annotated[int, Meta(ge=2, le=10**7)] = 128
    """Images per optimiser step."""
    augment: str = ""
    """Augmentation of rows that have none of their own, as written on a command line; by default that of the data set."""
    optimizer: Literal["sgd", "adam", "adamw", "rmsprop"] = "sgd"
    """Optimiser, with torch's defaults for settings not listed here."""
    lr: Annotated[float, Meta(gt=0, le=1e6)] = 0.1
    """Peak learning rate."""
    momentum: Annotated[float, Meta(ge=0, lt=1)] = 0.9
    """Momentum of `sgd` and `rmsprop`."""
    nesterov: bool = False
    """Nesterov momentum for `sgd`."""
    weight_decay: Annotated[float, Meta(ge=0, le=1e6)] = 5e-4
    """L2 penalty on the weights; decoupled from the gradient for `adamw`."""
    summed_loss: bool = False
    """Whether a batch has the sum of its losses instead of the mean: the reduced loss times its images, so that it goes with
    every reduction. The last batch of an epoch, if it is smaller, then counts less."""
    schedule: Literal["cosine", "linear", "multistep", "constant"] = "cosine"
    """Learning-rate schedule: half a cosine, a straight line, steps at `milestones`, or constant."""
    final_lr: Annotated[float, Meta(ge=0, lt=1)] = 0.0
    """Where `cosine` and `linear` end, as a share of the peak learning rate."""
    milestones: tuple[Annotated[float, Meta(gt=0, lt=1)], ...] = ()
    """Where `multistep` multiplies the learning rate by `decay`, as fractions of the training."""
    decay: Annotated[float, Meta(gt=0, le=1)] = 0.1
    """Factor of the learning rate at each milestone."""
    warmup: Annotated[float, Meta(ge=0, lt=1)] = 0.0
    """Share of the training with a linear warm-up of the learning rate."""
    ema: Annotated[float, Meta(gt=0, lt=1)] | None = None
    """Decay of an exponential moving average of the weights, which is then used for prediction."""
    ema_warmup: bool = True
    """Whether the decay is warmed up: step t has min(ema, 1 - t^(-2/3)), so 0.99 is reached at step 1,000 and 0.9999 at
    step 1,000,000. With `false`, the average after a short training is close to the first weights."""
    precision: Literal["fp32", "bf16", "auto"] = "auto"
    """`auto`: bf16 on a processor or GPU with native support, else fp32; resolved before the identity is computed."""
    kernels: Literal["deterministic", "fastest"] = "deterministic"
    """Kernels of a GPU: with `fastest`, a training on one does not repeat to the last bit. A training on a CPU is the same with
    both, and always repeats."""

    def __post_init__(self) -> None:
        if (self.epochs is None) == (self.steps is None):
            raise UsageError("a recipe has a length in either epochs or steps", fix="set exactly one of them")
        if self.schedule == "multistep" and not self.milestones:
            raise UsageError("schedule 'multistep' needs milestones", fix="milestones = [0.8, 0.9]")
        if self.milestones and self.schedule != "multistep":
            raise UsageError(f"milestones have no effect with schedule '{self.schedule}'", fix="remove them")
        if self.nesterov and self.optimizer == "sgd" and not self.momentum:
            raise UsageError("nesterov = true needs momentum", fix="momentum = 0.9, or nesterov = false")
        # The order makes no difference.
        msgspec.structs.force_setattr(self, "milestones", tuple(sorted(self.milestones)))

    def resolved(self, device: str = "cpu") -> Recipe:
        """Return the recipe with `precision` decided for a device of this machine."""
        if self.precision != "auto":
            return self
        return msgspec.structs.replace(self, precision=decided(self.precision, device))

    def trained_on(self, device: str) -> Recipe:
        """Return the recipe with all decided that depends on the device."""
        kernels: Any = decided_kernels(self.kernels, device)
        return msgspec.structs.replace(self.resolved(device), kernels=kernels)


def decided(precision: str, device: str) -> str:
    """Return the precision that `auto` is on a device; others unchanged."""
    return precision if precision != "auto" else "bf16" if native_bf16(device) else "fp32"


def decided_kernels(kernels: str, device: str) -> str:
    """Return the kernels with which a device trains: the CPU has deterministic ones only."""
    return "deterministic" if device == "cpu" else kernels


def fields_switched_off(recipe: Recipe) -> dict[str, str]:
    """Return the fields that have no effect given the others, each with the reason."""
    off: dict[str, str] = {}
    if recipe.optimizer != "sgd":
        off["nesterov"] = f"optimizer '{recipe.optimizer}' has no Nesterov momentum"
    if recipe.optimizer in {"adam", "adamw"}:
        off["momentum"] = f"optimizer '{recipe.optimizer}' has its own decay rates"
    if recipe.schedule not in {"cosine", "linear"}:
        off["final_lr"] = f"schedule '{recipe.schedule}' does not end at a share of the peak"
    if recipe.schedule != "multistep":
        off["decay"] = f"schedule '{recipe.schedule}' has no milestones"
    if recipe.ema is None:
        off["ema_warmup"] = "without ema there is no moving average"
    return off


def sweep_recipe(recipe: Recipe, sweep: Mapping[str, Sequence[Any]]) -> list[Recipe]:
    """Return a recipe for each combination of the values of a sweep; the recipe itself if there is no sweep.

    A sweep of `steps` replaces `epochs`, and vice versa. Raises `UsageError` if a value does not fit its field.
    """
    if (many := math.prod(map(len, sweep.values()))) > MOST:
        raise UsageError(f"the sweep has {many:,} recipes; at most {MOST:,} are planned", fix="fewer values")
    for field, values in sweep.items():
        if field not in Recipe.__struct_fields__:
            raise UnknownName.of("field of the recipe", field, Recipe.__struct_fields__)
        if not values or any(value in values[:place] for place, value in enumerate(values)):
            raise UsageError(f"sweep.{field} is empty or repeats a value", fix="name each value once")
    if {"epochs", "steps"} <= sweep.keys():
        raise UsageError("a recipe has a length in either epochs or steps", fix="sweep one of them")
    # Exactly one length is allowed, so the sweep replaces that of the recipe.
    unswept = msgspec.to_builtins(recipe)
    for field, other in (("epochs", "steps"), ("steps", "epochs")):
        if field in sweep:
            unswept[other] = None
    recipes = []
    for values in itertools.product(*sweep.values()):
        try:
            recipes.append(msgspec.convert(unswept | dict(zip(sweep, values, strict=True)), Recipe))
        except msgspec.ValidationError as error:
            raise UsageError("a value of the sweep is not valid in the recipe", why=str(error)) from None
    return recipes


def recipe_spec(recipe: Recipe) -> dict[str, Any]:
    """Return the part of a recipe that enters identities: non-default fields, and always precision.

    Fields without effect are left out, too, such as momentum with Adam.
    """
    # Defaults are omitted, so that identities stay valid when a field is added.
    defaults, off = Recipe(steps=1), fields_switched_off(recipe)
    spec: dict[str, Any] = {
        field: msgspec.to_builtins(value)
        for field in recipe.__struct_fields__
        if field not in off and ((value := getattr(recipe, field)) != getattr(defaults, field) or field == "steps")
    }
    return {k: v for k, v in (spec | {"precision": recipe.precision}).items() if v is not None}


@cache
def native_bf16(device: str = "cpu") -> bool:
    """Whether a device multiplies bfloat16 natively: a processor with AVX512-BF16 or AMX, or a GPU since Ampere."""
    # Ask the hardware, because frameworks accept bf16 everywhere and emulate it, several times slower than fp32.
    if device != "cpu":
        if importlib.util.find_spec("torch") is None:
            return True
        import torch

        # Where workers of other machines have the GPUs, this one may have none to ask.
        return not torch.cuda.is_available() or torch.cuda.get_device_capability(device) >= (8, 0)
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags
