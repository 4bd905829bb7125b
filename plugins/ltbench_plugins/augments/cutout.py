"""Cutout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from ltbench import Augment, Meta, NotTuned, Tune, hookimpl
from ltbench_plugins.augments._square import cut_out

if TYPE_CHECKING:
    from torch import Generator, Tensor


class Cutout(Augment, frozen=True):
    """Paint over a square of each image, after the augmentation of the data set.

    The square has half the side of the image: 16 pixels of 32. Its centre is uniform in the image, and what lies
    outside is cut off, so often less than a quarter of the image is hidden. This is the paper's size for CIFAR-10; for
    CIFAR-100 it is a quarter of the side (`share=0.25`). Sides are even numbers of pixels, at least two.

    The paper paints with the mean colour of the data set, 0 after normalisation; for CIFAR about `fill=0.47`. The default
    is black, as where Cutout follows AutoAugment before normalisation.

    Source: DeVries and Taylor, Improved Regularization of Convolutional Neural Networks with Cutout, 2017, section 3.2.
    """

    name = "cutout"
    follows = True

    share: Annotated[
        float, Meta(gt=0, le=1, description="side of the square over that of the image"), Tune(0.25, 0.65)
    ] = 0.5
    fill: Annotated[
        float, Meta(ge=0, le=1, description="value of the pixels of the square"), NotTuned("is no strength")
    ] = 0.0

    def apply(self, images: Tensor, generator: Generator) -> Tensor:
        """Return the images with squares. images: float [B, channels, size, size] in [0, 1]."""
        return cut_out(images, self.share, self.fill, generator)


@hookimpl
def ltbench_augments() -> list[type[Augment]]:
    return [Cutout]
