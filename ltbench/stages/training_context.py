"""What the harness tells techniques during a training, and what they may learn and remember."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec

from ltbench.technique import Technique

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

    State = Mapping[str, Tensor]
    """What a technique remembers, as tensors by name; in snapshots, and on the device of the training."""


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """The point of a training, or of a phase that restarts its schedule."""

    epoch: int
    """Epochs of the sampler in use that have ended, from 0."""
    epochs: float
    """Length in epochs; not an integer if the recipe states steps."""
    step: int
    """Steps that have ended, from 0."""
    steps: int

    @property
    def progress(self) -> float:
        """The part of the training that has ended, in [0, 1)."""
        return self.step / self.steps


class Outputs(msgspec.Struct, frozen=True, dict=True, kw_only=True):
    """What a network computes for a batch. E is the number of branches, 1 if there are none; D that of features."""

    logits: Any
    """float32 [B, C], merged over branches"""
    branches: Any
    """float32 [E, B, C]: the logits of each branch"""
    features: Any
    """float32 [E, B, D]: what each classifier is given"""
    layers: tuple[Any, ...]
    """The E classifiers, as modules."""
    own: Any = None
    """The module that the technique learns."""
    state: Any = msgspec.field(default_factory=dict)
    """What the technique remembers."""
    slow: Outputs | None = None
    """The same of the moving average of network and module, without gradient, for a technique that asks for it. A view that
    it alone gets has nothing else: None for logits, branches and features."""
    teacher: Any = None
    """float32 [B, C]: logits of the teacher for the same images, in evaluation mode and without gradient; None without one."""
    views: tuple[Outputs, ...] = ()
    """In `after_step` of an auxiliary: what its term got."""

    @cached_property
    def classifiers(self) -> tuple[Tensor, Tensor]:
        """Weights [E, C, D] and biases [E, C] of linear classifiers. Raises `AttributeError` for others."""
        import torch

        weights = torch.stack([layer.weight for layer in self.layers])
        biases = [weight.new_zeros(len(weight)) if layer.bias is None else layer.bias
                  for layer, weight in zip(self.layers, weights, strict=True)]  # fmt: skip
        return weights, torch.stack(biases)


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """The training images of an epoch. Blended images count for both classes, by their shares."""

    images: Any
    """float [C]: images seen of each class"""
    correct: Any
    """float [C]: those of them that the network classified correctly, in the step that trained on them"""


Predict = Callable[[Any], Any]
"""Images float [N, channels, size, size] in [0, 1] -> logits float32 [N, C] of the network in evaluation mode."""


class Adaptive(Technique, frozen=True):
    """A technique that may learn or remember something during a training.

    What it learns is a module, trained by the same optimiser. What it remembers is a state of tensors, which the harness
    hands over with every call and replaces by what `after_step`, `after_epoch` and `probe` return. Both are part of
    snapshots, so that a resumed training ends with the same bits; so a technique must not keep anything in itself.
    """

    def learns(self, features: int, classes: int, counts: Tensor) -> nn.Module | None:
        """Return a module to train with the network, such as a projection; None for nothing.

        features: width D of what the classifier is given; counts: int64 [C]. Initial weights may come from torch's global
        generator, which the harness seeds around this call only.
        """
        return None

    def remembers(self, features: int, classes: int, counts: Tensor, generator: Generator) -> State:
        """Return the state at the start. counts: int64 [C], on the device of the training; generator: on the CPU."""
        return {}

    def after_step(self, outputs: Outputs, batch: Any, network: nn.Module, state: State) -> State:
        """Return the state after a step, called without gradients. Tensors keep shape and dtype.

        outputs: of the batch that the step trained on; batch: the `Mixed`, whose `lam` is None without a mix. For an
        auxiliary it is the batch before a mix, as its term got it, and `outputs.views` are the views.
        """
        return state

    def after_epoch(self, seen: Seen, state: State, moment: Moment) -> State:
        """Return the state after an epoch. moment: of the next step. Tensors keep shape and dtype."""
        return state

    def probe(self, predict: Predict, images: Tensor, labels: Tensor, state: State, moment: Moment, generator: Generator) -> State:  # fmt: skip
        """Return the state after an epoch, for a technique that has to look at images of its own making.

        images: all training images, uint8 [N, channels, size, size]; labels: int64 [N]; moment: of the next step. Many images
        stay on disk: `images[indices]` reads some. Called after `after_epoch`.
        """
        return state


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What an augmentation or a mix is told about a batch."""

    indices: Any
    """int64 [B], places in the training subset"""
    labels: Any
    """int64 [B]"""
    counts: Any
    """int64 [C]"""
    moment: Moment
    state: Any = msgspec.field(default_factory=dict)
    """What the technique remembers."""
    own: Any = None
    """The module that the technique learns."""
    partner: Partner | None = None
    """The batch of the second stream, for a mix that asks for one."""


class Partner(msgspec.Struct, frozen=True, kw_only=True):
    """A batch of a second stream, as large as the first."""

    images: Any
    """float [B, channels, size, size], normalised"""
    labels: Any
    """int64 [B]"""
