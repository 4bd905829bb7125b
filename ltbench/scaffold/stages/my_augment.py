"""Random brightness."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from ltbench import Augment, Meta, Tune, hookimpl

if TYPE_CHECKING:
    from torch import Generator, Tensor

LTBENCH_API = 1  # version of the ltbench hooks that this module implements


class MyAugment(Augment, frozen=True):
    """Make each image brighter or darker by a factor drawn uniformly from `[1 - strength, 1 + strength]`.

    It is applied after the default augmentation of the data set. Without `follows` it would replace it.

    Source: FILL IN (authors, title, year, section).
    """

    name = "my_augment"
    follows = True

    strength: Annotated[
        float, Meta(ge=0, le=1, description="0 changes nothing; 1: from black to twice as bright"), Tune(0.2, 0.8)
    ] = 0.4

    def apply(self, images: Tensor, generator: Generator) -> Tensor:
        """Return the changed images. images: float [B, channels, size, size] in [0, 1], before normalisation."""
        drawn = images.new_empty(len(images), 1, 1, 1).uniform_(-1, 1, generator=generator)
        return (images * (1 + self.strength * drawn)).clamp(0, 1)


@hookimpl
def ltbench_augments() -> list[type[Augment]]:
    return [MyAugment]
