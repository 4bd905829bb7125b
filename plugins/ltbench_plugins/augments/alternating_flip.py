"""Reflected crop and alternating flip."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from ltbench import Augment, Meta, Tune, hookimpl

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from ltbench import Told


class AlternatingFlip(Augment, frozen=True):
    """Crop at a random position of the image continued by reflection, and mirror it in every second epoch.

    An image is mirrored where the sum of its index and the epoch is odd, so half of the images in each epoch. In two epochs
    a network sees each image and its mirror image once, while flips that are drawn show half of the images twice from
    the same side. The rule needs no state, so it goes with every sampler. It is applied instead of the augmentation of
    the data set.

    Source: Jordan, 94% on CIFAR-10 in 3.29 Seconds on a Single GPU, arXiv:2404.00498, 2024, section 3.6, where the images
    that are mirrored in the first epoch are drawn.
    """

    name = "alternating_flip"

    padding: Annotated[
        int, Meta(ge=0, description="pixels by which the image is continued on each side"), Tune(1, 4)
    ] = 2

    def apply_to(self, images: Tensor, told: Told, generator: Generator) -> Tensor:
        """Return the transformed images, float [B, channels, size, size] in [0, 1]."""
        import torch

        size, rows = images.shape[-1], torch.arange(len(images), device=images.device)
        wide = torch.nn.functional.pad(images, (self.padding,) * 4, mode="reflect") if self.padding else images
        mirrored = (told.indices + told.moment.epoch) % 2 == 1
        wide = torch.where(mirrored[:, None, None, None], wide.flip(-1), wide)
        top, left = torch.randint(2 * self.padding + 1, (2, len(images)), generator=generator, device=images.device)
        crops = wide.unfold(2, size, 1).unfold(3, size, 1)
        return crops[rows, :, top, left]


@hookimpl
def ltbench_augments() -> list[type[Augment]]:
    return [AlternatingFlip]
