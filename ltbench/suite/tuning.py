"""How a suite tunes hyper-parameters."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from ltbench.errors import UsageError
from ltbench.records.tuning_file import MOST_TRIALS

Positive = Annotated[float, Meta(gt=0)]
SHARE = 0.2
"""The share that trials hold out where neither `[tune]` nor the suite says one."""
BATCH = 5
"""Trials that `tpe` proposes at once by default."""
FACTOR = 4.0
"""Fields of the recipe are tuned between their value divided by this and multiplied by it, unless `[tune]` says otherwise."""


class Tuning(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How hyper-parameters are chosen: by as many trials for every row, also for the baseline, on held-out images.

    A row is tuned over what its techniques say is worth tuning, and over fields of the recipe. The best values are then
    trained on all that the suite trains on, with all seeds, and shown beside the defaults.
    """

    trials: Annotated[int, Meta(ge=2, le=MOST_TRIALS)]
    """Trials of each row. The first one has the defaults."""
    on: Literal["held_out"] = "held_out"
    """The images on which trials are compared: never test images."""
    held_out: Annotated[float, Meta(gt=0, lt=1)] | None = None
    """Share of the training images of each class that trials hold out; by default that of the suite, or else 0.2."""
    at: Literal["each factor", "one factor"] = "each factor"
    """Whether values are chosen at each imbalance factor, or at the largest one for all."""
    seeds: Annotated[int, Meta(ge=1)] = 1
    """Number of seed pairs of the suite, the first ones, over which the score of a trial is averaged. If each draws another
    subset, this is cross-validation."""
    sampler: Literal["quasi_random", "tpe"] = "quasi_random"
    """Where trials come from: points that cover the ranges evenly, or proposals of Optuna's TPE after the first batch."""
    batch: Annotated[int, Meta(ge=1)] = BATCH
    """Number of trials that `tpe` proposes at once, whatever the number of workers."""
    seed: Annotated[int, Meta(ge=0, le=2**32 - 1)] = 0
    """Seed of the trials."""
    recipe: dict[Literal["lr", "weight_decay"], tuple[Positive, Positive]] | None = None
    """Fields of the recipe that are tuned, with both ends of their range, on a logarithmic scale; by default `lr` and
    `weight_decay`, from a quarter of the value of the recipe to four times as much."""

    def __post_init__(self) -> None:
        for field, (low, high) in (self.recipe or {}).items():
            if not low < high < math.inf:
                raise UsageError(f"tune.recipe.{field} = [{low:g}, {high:g}] is no range",
                                 fix="two finite numbers, the lower one first")  # fmt: skip
        if self.sampler != "tpe" and self.batch != BATCH:
            raise UsageError("tune.batch has no effect with quasi-random trials", fix='sampler = "tpe", or remove it')
        if self.sampler == "tpe" and self.batch >= self.trials:
            raise UsageError(
                f"tune.sampler = 'tpe' has no effect, as the {self.trials} trials are in the first batch of {self.batch}",
                why="the first batch is quasi-random", fix="more trials, or a smaller batch",
            )  # fmt: skip
