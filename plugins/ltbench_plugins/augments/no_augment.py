"""No augmentation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ltbench import Augment, hookimpl

if TYPE_CHECKING:
    from torch import Generator, Tensor


class NoAugment(Augment, frozen=True):
    """Leave every image unchanged, instead of the augmentation of the data set.

    A combination without an augmentation uses the default of the data set (crop and flip for CIFAR). This technique
    switches it off, to measure its effect.

    Source: none; it is the reference for augmentations.
    """

    name = "no_augment"
    leaves_images = True

    def apply(self, images: Tensor, generator: Generator) -> Tensor:
        """Return the images, float [B, channels, size, size]."""
        return images


@hookimpl
def ltbench_augments() -> list[type[Augment]]:
    return [NoAugment]
