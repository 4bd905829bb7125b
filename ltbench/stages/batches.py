"""Batches: which images an epoch visits, and how they are changed and blended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import msgspec

from ltbench.stages.training_context import Adaptive, Moment, Told
from ltbench.technique import Technique

if TYPE_CHECKING:
    from torch import Generator, Tensor


class Sampler(Technique, frozen=True):
    """The training images that an epoch visits, and their order."""

    stage: ClassVar[str] = "sampler"

    def pool(self, labels: Tensor, counts: Tensor, generator: Generator) -> Tensor:
        """Return the indices to draw from, `int64 [P]`; called once per training. Default: every image once.

        labels: int64 [N] of the training subset; counts: int64 [C] of the same.
        """
        return labels.new_ones(len(labels)).cumsum(0) - 1

    def batch_size(self, batch_size: int, classes: int) -> int:
        """Return the batch size; by default that of the recipe."""
        return batch_size

    def epoch(self, pool: Tensor, labels: Tensor, counts: Tensor, batch_size: int, generator: Generator) -> Tensor:
        """Return the indices of an epoch in order, `int64 [M]`, all of them elements of `pool`.

        batch_size: that of the recipe. M is the same for every epoch.
        """
        raise NotImplementedError

    def epoch_at(
        self, pool: Tensor, labels: Tensor, counts: Tensor, batch_size: int, moment: Moment, generator: Generator
    ) -> Tensor:
        """Return the indices of an epoch, as `epoch` does, at a moment of the training: that of its first step.

        The harness calls this method, which by default calls `epoch`.
        """
        return self.epoch(pool, labels, counts, batch_size, generator)

    def share(self, counts: Tensor) -> Tensor | None:
        """Return the expected share of each class in all draws, float [C], or None if it is not known exactly.

        `ltbench check` tests the draws against it. counts: int64 [C].
        """
        return None


class Augment(Adaptive, frozen=True):
    """A random transformation of each image, drawn independently per image."""

    stage: ClassVar[str] = "augment"
    follows: ClassVar[bool] = False
    """Whether it is applied after the data set's own augmentation, instead of replacing it."""
    leaves_images: ClassVar[bool] = False
    """Whether it changes nothing, so that a frozen backbone computes the features of an image only once."""

    def apply(self, images: Tensor, generator: Generator) -> Tensor:
        """Return the transformed images. images: float [B, channels, size, size] in [0, 1], before normalisation."""
        raise NotImplementedError

    def prepare(self, images: Tensor) -> Tensor:
        """Prepare all images for `batch`; called once per training. images: uint8 [N, channels, size, size].

        `prepare` and `batch` are a fast path for techniques that are faster on bytes than on float images.
        """
        return images

    def batch(self, prepared: Tensor, indices: Tensor, generator: Generator) -> Tensor:
        """Return transformed images, float32 [B, channels, size, size] in [0, 1], that share no memory with `prepared`.

        prepared: the result of `prepare`; indices: int64 [B] of the images, on the same device.
        """
        return self.apply(prepared[indices].float().mul_(1 / 255), generator)

    def to_size(self, images: Tensor, size: int, generator: Generator) -> Tensor:
        """Return the transformed images, of a data set that stores larger ones than networks take.

        The harness calls this method for an augmentation that overrides it; others get the centre of the images.
        images: as for `apply`, with sides of at least `size`; returned are [B, channels, size, size].
        """
        raise NotImplementedError

    def apply_to(self, images: Tensor, told: Told, generator: Generator) -> Tensor:
        """Return the transformed images, with access to labels, moment and state.

        The harness calls this method, which by default calls `apply`, for an augmentation that overrides it or follows
        another one. images: as for `apply`.
        """
        return self.apply(images, generator)


class Mixed(msgspec.Struct, frozen=True):
    """A blended batch: the loss is `lam * loss(labels_a) + (1 - lam) * loss(labels_b)`, per image."""

    images: Any
    """float [B, channels, size, size]"""
    labels_a: Any
    """int64 [B]"""
    labels_b: Any
    """int64 [B]"""
    lam: Any
    """float [B] in [0, 1]: the weight of label a"""


class Mix(Adaptive, frozen=True):
    """Blends pairs of images of a batch. Each result has two labels and a lambda, never soft labels."""

    stage: ClassVar[str] = "mix"
    partner: ClassVar[str] = ""
    """The sampler of a second stream of images, in command-line notation; empty for none."""
    where: ClassVar[Literal["input", "hidden"]] = "input"
    """`hidden`: blends the images, or the output of a block of the network but the last, drawn for each step."""

    def unsuited_to(self, model: Technique) -> str:
        if self.where == "input" or getattr(model, "has_blocks", False):
            return ""
        return "its networks have no blocks()"

    def mix(self, images: Tensor, labels: Tensor, counts: Tensor, generator: Generator) -> Mixed:
        """Blend a batch. images: float [B, channels, size, size], normalised; labels: int64 [B]; counts: int64 [C].

        For a hidden mix, images may also be the output of a block, float [B, ...].
        """
        raise NotImplementedError

    def blend(self, images: Tensor, told: Told, generator: Generator) -> Mixed:
        """Blend a batch, with access to moment, state and the second stream.

        The harness calls this method, which by default calls `mix`. images: as for `mix`.
        """
        return self.mix(images, told.labels, told.counts, generator)
