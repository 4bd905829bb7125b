"""No augmentation at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ltbench import Augment, hookimpl

if TYPE_CHECKING:
    from torch import Generator, Tensor


class NoAugment(Augment, frozen=True):
    """Leave every image as it is.

    A combination that picks no augmentation gets the data set's own (crop and flip for CIFAR); this one switches that
    off, which shows what the augmentation is worth.

    Source: none; it is what an augmentation is compared with.
    """

    name = "no_augment"

    def apply(self, images: Tensor, generator: Generator) -> Tensor:
        """Return the images, float [B, channels, size, size]."""
        return images


@hookimpl
def ltbench_augments() -> list[type[Augment]]:
    return [NoAugment]
