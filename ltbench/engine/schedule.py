"""The steps of a training, the span of each segment, and the learning rate of each step.

A recipe states its length in steps or in epochs. In epochs, a segment has its share of them times the batches per
epoch of *its own* sampler: with u the fractions where segments end and b the batches per epoch,

    steps of segment i = round(epochs u_i b_i) - round(epochs u_(i-1) b_i)

Each segment counts its steps as if its sampler had been in use from the start: step s of `total` = epochs b_i. So
neither steps nor learning rates depend on later segments, and a training that is cut at any step and continued is
bit-identical to an uninterrupted one.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import msgspec
import torch
from torch.optim import lr_scheduler

from ltbench.engine.segment import Segment
from ltbench.stages import Moment
from ltbench.suite.recipe import Recipe


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """The steps of a segment: from `first` to `last`, exclusive, of a training of `total` steps."""

    first: int
    last: int
    total: int

    def __len__(self) -> int:
        return self.last - self.first


def spans(recipe: Recipe, ends: Sequence[float], batches: Sequence[int]) -> list[Span]:
    """Return the span of each segment.

    ends: where segments end, as fractions of the training; batches: per epoch of each segment's sampler.
    """
    result: list[Span] = []
    for start, end, per_epoch in zip((0.0, *ends), ends, batches, strict=False):
        total = recipe.steps if recipe.epochs is None else recipe.epochs * per_epoch
        assert total is not None, "a recipe has a length"
        result.append(Span(first=round(total * start), last=round(total * end), total=total))
    return result


def steps_before_average(segments: Sequence[Segment], spans: Sequence[Span]) -> int:
    """Return the number of steps before the segment with which the moving average of the last of `segments` began."""
    starts = [number for number, segment in enumerate(segments) if segment.average == "restart"]
    return sum(map(len, spans[: starts[-1]])) if starts else 0


def moment(span: Span, step: int, batches: int, *, restart: bool) -> Moment:
    """Return the point of the training at which a step of a segment begins, as its techniques see it.

    step: from `span.first`; batches: per epoch of the segment's sampler. As for learning rates, a segment that restarts
    is a training of its own, and any other is a part of a training of `span.total` steps.
    """
    first, total = (span.first, len(span)) if restart else (0, span.total)
    done = step - first
    return Moment(epoch=done // batches, epochs=total / batches, step=done, steps=total)


def learning_rates(recipe: Recipe, span: Span, *, restart: bool, scale: float) -> tuple[float, ...]:
    """Return the learning rate of each step of a segment.

    A segment that restarts uses the recipe's whole schedule, any other its part of the training's schedule.
    scale: factor on the recipe's learning rate.
    """
    first, total = (0, len(span)) if restart else (span.first, span.total)
    return tuple(rate * scale for rate in _curve(recipe, total)[first : first + len(span)])


@lru_cache(maxsize=16)
def _curve(recipe: Recipe, steps: int) -> tuple[float, ...]:
    """Return the learning rates that torch's schedulers give to a dummy optimiser: linear warm-up, then the schedule.

    Computed in advance, so that resuming a training has no scheduler state to restore.
    """
    warmup_steps = round(recipe.warmup * steps)
    optimizer = _dummy_optimizer(recipe.lr)
    warmup = lr_scheduler.LinearLR(optimizer, 1 / max(warmup_steps, 1), total_iters=warmup_steps)
    rates = _scheduled_rates(optimizer, warmup, warmup_steps)
    optimizer = _dummy_optimizer(recipe.lr)
    rest = steps - warmup_steps
    scheduler: lr_scheduler.LRScheduler
    match recipe.schedule:
        case "cosine":
            scheduler = lr_scheduler.CosineAnnealingLR(optimizer, max(rest, 1), eta_min=recipe.final_lr * recipe.lr)
        case "linear":
            scheduler = lr_scheduler.LinearLR(optimizer, 1.0, recipe.final_lr, total_iters=max(rest, 1))
        case "multistep":
            milestones = [round(m * steps) - warmup_steps for m in recipe.milestones]
            scheduler = lr_scheduler.MultiStepLR(optimizer, milestones, recipe.decay)
        case "constant":
            scheduler = lr_scheduler.ConstantLR(optimizer, factor=1.0)
    return (*rates, *_scheduled_rates(optimizer, scheduler, rest))


def _dummy_optimizer(lr: float) -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.zeros(1)], lr=lr)


def _scheduled_rates(optimizer: torch.optim.Optimizer, scheduler: lr_scheduler.LRScheduler, steps: int) -> list[float]:
    rates = []
    for _ in range(steps):
        rates.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        scheduler.step()
    return rates
