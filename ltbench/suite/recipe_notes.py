"""Notes on values of a recipe that have no effect in trainings of a given length."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

import msgspec

from ltbench.suite.recipe import Recipe, fields_switched_off


class _Length(msgspec.Struct, frozen=True):
    """The length of a training: its optimiser steps, and the images of its training subset."""

    steps: int
    images: int


def recipe_notes(recipe: Recipe, images: Collection[int]) -> list[str]:
    """Return a line for each value that changes the identity but not the weights, or has less effect than stated.

    images: the sizes of the training subsets. Steps are those of shuffling; a sampler may have more or fewer.
    """
    lengths = [_Length(plain_steps(recipe, number), number) for number in sorted(set(images))]
    return [*_switched_off(recipe), *_average(recipe, lengths), *_schedule(recipe, lengths), *_batches(recipe, lengths)]


def ema_limit(steps: int) -> float:
    """Return the largest decay that a moving average with `ema_warmup` reaches in this number of steps.

    >>> round(ema_limit(1000), 6), round(ema_limit(60), 3)
    (0.99, 0.935)
    """
    return float(1 - steps ** (-2 / 3))


def plain_steps(recipe: Recipe, images: int) -> int:
    """Return the steps of a training that shuffles this number of images; a last batch of one image is dropped."""
    if recipe.epochs is None:
        assert recipe.steps is not None, "a recipe has a length"
        return recipe.steps
    usable = images - (images % recipe.batch_size == 1)
    return recipe.epochs * -(-usable // recipe.batch_size)


def _switched_off(recipe: Recipe) -> Iterator[str]:
    defaults = Recipe(steps=1)
    for field, reason in fields_switched_off(recipe).items():
        if (value := getattr(recipe, field)) != getattr(defaults, field):
            yield f"{_setting(field, value)} has no effect: {reason}"


def _average(recipe: Recipe, lengths: list[_Length]) -> Iterator[str]:
    ema = recipe.ema
    if ema is None or not recipe.ema_warmup:
        return
    if short := _matching(lengths, lambda length: ema_limit(length.steps) <= ema):
        limit = ema_limit(max(length.steps for length in short))
        yield (
            f"{_setting('ema', ema)} is not reached in {_range(short)}: the decay rises as 1 - step^(-2/3), to "
            f"{limit:.4g}, and every larger value gives the same weights (ema_warmup = false: constant decay)"
        )


def _schedule(recipe: Recipe, lengths: list[_Length]) -> Iterator[str]:
    def warm(length: _Length) -> int:
        return round(recipe.warmup * length.steps)

    warmup = _setting("warmup", recipe.warmup)
    if recipe.warmup and (short := _matching(lengths, lambda length: warm(length) < 2)):
        yield f"{warmup} is less than two steps in a training of {_range(short)}: the learning rate does not rise"
    if whole := _matching(lengths, lambda length: 2 <= warm(length) >= length.steps):
        yield f"{warmup} takes all of a training of {_range(whole)}: schedule '{recipe.schedule}' has no effect"
    if recipe.milestones and recipe.decay == 1:
        yield "decay = 1 does not change the learning rate at milestones"
    for milestone in dict.fromkeys(recipe.milestones):
        name = f"milestone {milestone:g}"
        if early := _matching(lengths, lambda length, m=milestone: round(m * length.steps) < warm(length)):  # type: ignore[misc]
            yield f"{name} has no effect in {_range(early)}: it is inside the warm-up, which takes {recipe.warmup:g}"
        if late := _matching(lengths, lambda length, m=milestone: round(m * length.steps) >= length.steps):  # type: ignore[misc]
            yield f"{name} has no effect in {_range(late)}: it is after the last step"


def _batches(recipe: Recipe, lengths: list[_Length]) -> Iterator[str]:
    if few := _matching(lengths, lambda length: length.images < recipe.batch_size):
        most = max(length.images for length in few)
        yield f"{_setting('batch_size', recipe.batch_size)} exceeds the training subset: a batch has at most {most} images"


def _matching(lengths: list[_Length], hold: Callable[[_Length], bool]) -> list[_Length]:
    return [length for length in lengths if hold(length)]


def _range(lengths: list[_Length]) -> str:
    """Return the steps of trainings: `600 steps` or `480 to 780 steps`."""
    steps = [length.steps for length in lengths]
    return f"{min(steps):,} to {max(steps):,} steps" if min(steps) < max(steps) else f"{min(steps):,} steps"


def _setting(field: str, value: object) -> str:
    """Return a field with its value as a suite writes it."""
    return f"{field} = {str(value).lower() if isinstance(value, bool) else value}"
