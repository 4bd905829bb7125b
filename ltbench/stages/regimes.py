"""Regimes: the phases of a training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import msgspec

from ltbench.technique import Technique


class Phase(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the training with fixed switches.

    A technique that is off is replaced by the baseline of its stage. A technique, in command-line notation, instead of a
    switch replaces that of the cell.
    """

    until: float
    """End of the phase as a fraction of the recipe's length. The last phase ends at 1 or later; one that begins at 1 or
    later continues the finished training. A phase that ends after 1 restarts."""
    sampler: bool | str = True
    augment: bool | str = True
    mix: bool | str = True
    loss: bool | str = True
    weight: bool | str = True
    auxiliary: bool | str = True
    update: bool | str = True
    still: bool = False
    """Whether images are not augmented, not even by the default of the data set."""
    trainable: Literal["all", "classifier"] = "all"
    restart: bool = False
    """Whether optimiser state, learning-rate schedule and moving average of the weights restart with this phase."""
    lr_scale: float = 1.0
    """Factor on the learning rate of the recipe."""
    weight_decay_scale: float = 1.0
    """Factor on the weight decay of the recipe."""
    classifier: Literal["keep", "fresh", "scale"] = "keep"
    """`fresh`: initialised again; `scale`: only a factor of the logits of each class learns, from 1; at the end of the phase
    it becomes part of weights and bias. Needs a linear classifier and `restart`."""
    batch_norm: Literal["", "learn", "statistics", "frozen"] = ""
    """Batch normalisation of the backbone: `learn` both parameters and statistics, only `statistics`, or neither. By
    default it learns unless the backbone is frozen."""
    max_norm: float | None = None
    """Largest norm of the weights of a class in the classifier, enforced after each step."""


class Regime(Technique, frozen=True):
    """The phases of a training."""

    stage: ClassVar[str] = "regime"

    @property
    def teacher(self) -> str:
        """The techniques of a teacher, as for an `Auxiliary`; by default there is none."""
        return ""

    def phases(self) -> Sequence[Phase]:
        """Return the phases in order."""
        raise NotImplementedError
