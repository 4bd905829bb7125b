"""SimAugment."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

from ltbench import Augment, Meta, Tune, hookimpl
from ltbench_plugins.augments import _colour

if TYPE_CHECKING:
    from torch import Generator, Tensor

_RATIO = (3 / 4, 4 / 3)
_TRIES = 10


class SimAugment(Augment, frozen=True):
    """Crop, resize, mirror, recolour and grey each image, instead of the augmentation of the data set.

    In this order: a crop of a random share of the area, `scale` to 1, and of a random ratio of the sides, 3/4 to 4/3,
    resized to the whole image; mirroring with probability 1/2; with probability 0.8 a change of brightness, contrast and
    saturation by a factor in [1 - jitter, 1 + jitter] and of the hue by up to `hue` of the colour circle, in random
    order; grey with probability `grey`. Crops are interpolated bilinearly.

    It makes the views of contrastive learning. The defaults are those of SupCon and of BCL and PaCo on CIFAR; SimCLR has a
    scale from 0.08, twice the jitter and hue, and blur on larger images.

    Source: Chen et al., A Simple Framework for Contrastive Learning of Visual Representations (SimCLR), ICML 2020,
    appendix A; Khosla et al., Supervised Contrastive Learning, NeurIPS 2020 (SimAugment); Zhu et al.,
    Balanced Contrastive Learning for Long-Tailed Visual Recognition, CVPR 2022 (defaults).
    """

    name = "simaugment"

    scale: Annotated[
        float, Meta(gt=0, le=1, description="smallest share of the area that a crop keeps"), Tune(0.08, 0.6)
    ] = 0.2
    jitter: Annotated[
        float, Meta(ge=0, le=1, description="brightness, contrast, saturation: 1 +- this"), Tune(0.2, 0.8)
    ] = 0.4
    hue: Annotated[
        float,
        Meta(ge=0, le=0.5, description="largest rotation of the hue, as a fraction of the circle"),
        Tune(0.05, 0.2),
    ] = 0.1
    grey: Annotated[float, Meta(ge=0, le=1, description="probability of an image without colour"), Tune(0.1, 0.4)] = 0.2

    def apply(self, images: Tensor, generator: Generator) -> Tensor:
        """Return the transformed images. images: float [B, channels, size, size] in [0, 1]."""
        import torch

        cropped = self.crop(images, generator)
        mirrored, recoloured, grey = torch.rand(3, len(images), 1, 1, 1, generator=generator, device=images.device)
        result = cropped.flip(-1).where(mirrored < 0.5, cropped)
        result = self.recolour(result, recoloured[:, 0, 0, 0] < 0.8, generator)
        return _colour.grey(result).expand_as(result).where(grey < self.grey, result)

    def crop(self, images: Tensor, generator: Generator) -> Tensor:
        """Return random crops of the images, resized to the whole image."""
        import torch

        count, size = len(images), images.shape[-1]
        drawn = torch.rand(4, _TRIES, count, generator=generator, device=images.device)
        area = size * size * (self.scale + (1 - self.scale) * drawn[0])
        low, high = (math.log(ratio) for ratio in _RATIO)
        ratio = (low + (high - low) * drawn[1]).exp()
        width, height = (area * ratio).sqrt().round(), (area / ratio).sqrt().round()
        fits = (width >= 1) & (width <= size) & (height >= 1) & (height <= size)
        # The first of ten draws that fits, or the whole image.
        first = fits.long().argmax(0, keepdim=True)
        found = fits.any(0)
        width, height, right, down = (each.gather(0, first)[0] for each in (width, height, drawn[2], drawn[3]))
        width, height = width.where(found, size), height.where(found, size)
        left, top = (right * (size - width + 1)).floor(), (down * (size - height + 1)).floor()
        zero = torch.zeros_like(width)
        # Of the centre and half the sides of a crop, in the range from -1 to 1 of the image.
        rows = [width / size, zero, (2 * left + width) / size - 1, zero, height / size, (2 * top + height) / size - 1]
        grid = torch.nn.functional.affine_grid(
            torch.stack(rows, 1).view(-1, 2, 3), list(images.shape), align_corners=False
        )
        # `border`: a pixel at the edge of a crop that covers the image would otherwise be blended with black.
        return torch.nn.functional.grid_sample(images, grid, padding_mode="border", align_corners=False).clamp_(0, 1)

    def recolour(self, images: Tensor, chosen: Tensor, generator: Generator) -> Tensor:
        """Return the images with other colours where chosen, bool [B]."""
        import torch

        drawn = torch.rand(4, len(images), generator=generator, device=images.device) * 2 - 1
        order = torch.rand(len(images), 4, generator=generator, device=images.device).argsort(1)
        strengths = (1 + drawn[0] * self.jitter, 1 + drawn[1] * self.jitter, 1 + drawn[2] * self.jitter)
        return _colour.jitter(images, chosen, (*strengths, drawn[3] * self.hue), order)


@hookimpl
def ltbench_augments() -> list[type[Augment]]:
    return [SimAugment]
