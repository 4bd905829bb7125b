"""A random part of each image, resized."""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING, Annotated

from ltbench import Augment, Meta, NotTuned, Tune, hookimpl

if TYPE_CHECKING:
    import torch
    from torch import Generator, Tensor

_TRIES = 10


class RandomResizedCrop(Augment, frozen=True):
    """Cut a part of random area, proportions and place out of each image, resize it, and mirror it at random.

    The standard augmentation of ImageNet, as torchvision.transforms.RandomResizedCrop draws it, with a draw for each image of a
    batch: the first of ten pairs of area and proportions that fits into the image, or else all of it. Of a data set that stores
    larger images than networks take (`stored`), the part is cut out of the whole image and resized to the size of networks.
    Resizing is bilinear, without antialiasing.
    Source: Szegedy et al., Going Deeper with Convolutions, CVPR 2015, section 6.
    """

    name = "random_resized_crop"

    least: Annotated[
        float, Meta(gt=0, lt=1, description="smallest part of the area; the largest is all of it"), Tune(0.05, 0.5)
    ] = 0.08
    stretch: Annotated[
        float,
        Meta(ge=1, description="largest ratio of width and height, or of height and width"),
        NotTuned("photos are hardly ever seen in other proportions"),
    ] = 4 / 3
    flip: Annotated[
        float,
        Meta(ge=0, le=1, description="probability of the mirror image"),
        NotTuned("an image is as likely as its mirror image"),
    ] = 0.5

    def apply(self, images: Tensor, generator: Generator) -> Tensor:
        """Return parts of the images, of their size. images: float [B, channels, size, size]."""
        return self.to_size(images, images.shape[-1], generator)

    def to_size(self, images: Tensor, size: int, generator: Generator) -> Tensor:
        """Return parts of the images, float [B, channels, size, size]. images: float [B, channels, side, side]."""
        import torch

        left, top, width, height, mirrored = self.parts(len(images), images.shape[-1], generator, images.device)
        # Where the centres of the new pixels are in the image; what is beyond those of its outer pixels has their values.
        steps = (torch.arange(size, device=images.device) + 0.5) / size
        across = torch.where(mirrored[:, None], 1 - steps, steps)
        columns = (left[:, None] + across * width[:, None] - 0.5).clamp(left[:, None], (left + width - 1)[:, None])
        rows = (top[:, None] + steps * height[:, None] - 0.5).clamp(top[:, None], (top + height - 1)[:, None])
        scale = 2 / max(images.shape[-1] - 1, 1)
        grid = torch.stack(
            [
                (columns * scale - 1)[:, None, :].expand(-1, size, -1),
                (rows * scale - 1)[:, :, None].expand(-1, -1, size),
            ],
            dim=-1,
        )
        parts = torch.nn.functional.grid_sample(
            images, grid, mode="bilinear", padding_mode="border", align_corners=True
        )
        return parts.clamp_(0, 1)

    def parts(self, number: int, side: int, generator: Generator, device: torch.device) -> tuple[Tensor, ...]:
        """Return left, top, width and height of parts of square images, float [number], and which are mirrored."""
        import torch

        def uniform(*shape: int) -> Tensor:
            return torch.rand(*shape, generator=generator, device=device)

        area = side * side * (self.least + (1 - self.least) * uniform(number, _TRIES))
        ratio = ((2 * uniform(number, _TRIES) - 1) * log(self.stretch)).exp()
        widths, heights = (area * ratio).sqrt().round(), (area / ratio).sqrt().round()
        fits = (widths >= 1) & (heights >= 1) & (widths <= side) & (heights <= side)
        first = fits.float().argmax(1, keepdim=True)  # the first of the largest
        some = fits.any(1)
        width, height = (of.gather(1, first)[:, 0].where(some, float(side)) for of in (widths, heights))
        left, top = ((uniform(number) * (side - of + 1)).floor() for of in (width, height))
        return left, top, width, height, uniform(number) < self.flip


@hookimpl
def ltbench_augments() -> list[type[Augment]]:
    return [RandomResizedCrop]
