"""Mirror images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from ltbench import Augment, Meta, NotTuned, hookimpl

if TYPE_CHECKING:
    from torch import Generator, Tensor


class Flip(Augment, frozen=True):
    """Mirror each image left to right at random, instead of the augmentation of the data set.

    Source: Krizhevsky et al., ImageNet Classification with Deep Convolutional Neural Networks, 2012, section 4.1.
    """

    name = "flip"

    chance: Annotated[
        float,
        Meta(ge=0, le=1, description="probability that an image is mirrored"),
        NotTuned("an image is as likely as its mirror image"),
    ] = 0.5

    def apply(self, images: Tensor, generator: Generator) -> Tensor:
        """Return the transformed images, of any dtype. images: [B, channels, size, size]."""
        import torch

        mirrored = torch.rand(len(images), generator=generator, device=images.device) < self.chance
        return torch.where(mirrored[:, None, None, None], images.flip(-1), images)

    def batch(self, prepared: Tensor, indices: Tensor, generator: Generator) -> Tensor:
        """Return the transformed images at `indices`, float [B, channels, size, size] in [0, 1]."""
        # Mirroring bytes takes a quarter of the memory traffic of floats.
        return self.apply(prepared[indices], generator).float().mul_(1 / 255)


@hookimpl
def ltbench_augments() -> list[type[Augment]]:
    return [Flip]
