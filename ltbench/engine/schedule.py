"""How many steps a training has, where its segments lie, and the learning rate of each step.

A recipe in steps has that many. A recipe in epochs has, for every segment, its share of the epochs times the batches
of an epoch under *that segment's* sampler: with u the fractions where segments end and b the batches of an epoch,

    steps of segment i = round(epochs u_i b_i) - round(epochs u_(i-1) b_i)

Each segment counts its steps as if its own sampler had been on from the beginning: step s of `whole` = epochs b_i. So
neither the steps nor the learning rates up to a point depend on what comes after it: a training that is cut there and
gone on with is the same training.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import msgspec
import torch
from torch.optim import lr_scheduler

from ltbench.suite.recipe import Recipe


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """The steps of one segment: `first` up to, and without, `last`, of a training of `whole` steps."""

    first: int
    last: int
    whole: int

    def __len__(self) -> int:
        return self.last - self.first


def spans(recipe: Recipe, ends: Sequence[float], batches: Sequence[int]) -> list[Span]:
    """Return the span of each segment.

    ends: where the segments end, as fractions of the training; batches: those of an epoch under each one's sampler.
    """
    found: list[Span] = []
    for begin, end, per_epoch in zip((0.0, *ends), ends, batches, strict=False):
        whole = recipe.steps if recipe.epochs is None else recipe.epochs * per_epoch
        assert whole is not None, "a recipe states its length"
        found.append(Span(first=round(whole * begin), last=round(whole * end), whole=whole))
    return found


def learning_rates(recipe: Recipe, span: Span, *, restart: bool, scale: float) -> tuple[float, ...]:
    """Return the learning rate of each step of a segment.

    A segment that restarts has the recipe's curve over its own span, every other one its part of the curve over the
    whole training. scale: factor on the recipe's learning rate.
    """
    first, whole = (0, len(span)) if restart else (span.first, span.whole)
    return tuple(rate * scale for rate in _curve(recipe, whole)[first : first + len(span)])


@lru_cache(maxsize=16)
def _curve(recipe: Recipe, steps: int) -> tuple[float, ...]:
    """Return the learning rates of torch's own schedulers, run ahead on nothing: a linear rise, then the schedule."""
    rise = round(recipe.warmup * steps)
    warmup = lr_scheduler.LinearLR(optimizer := _idle(recipe.lr), 1 / max(rise, 1), total_iters=rise)
    rates = _run(optimizer, warmup, rise)
    optimizer = _idle(recipe.lr)
    rest = steps - rise
    scheduler: lr_scheduler.LRScheduler
    match recipe.schedule:
        case "cosine":
            scheduler = lr_scheduler.CosineAnnealingLR(optimizer, max(rest, 1))
        case "multistep":
            milestones = [round(m * steps) - rise for m in recipe.milestones]
            scheduler = lr_scheduler.MultiStepLR(optimizer, milestones, recipe.decay)
        case "constant":
            scheduler = lr_scheduler.ConstantLR(optimizer, factor=1.0)
    return (*rates, *_run(optimizer, scheduler, rest))


def _idle(lr: float) -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.zeros(1)], lr=lr)


def _run(optimizer: torch.optim.Optimizer, scheduler: lr_scheduler.LRScheduler, steps: int) -> list[float]:
    rates = []
    for _ in range(steps):
        rates.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        scheduler.step()
    return rates
