"""The augmentation of report jiang."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from ltbench import Augment, Meta, NotTuned, Tune, hookimpl
from ltbench_plugins.augments import _colour

if TYPE_CHECKING:
    from torch import Generator, Tensor


class JiangAugment(Augment, frozen=True):
    """Randomly shift, mirror, rotate and recolour each image, instead of the augmentation of the data set.

    Four transforms in this order, each applied with probability `chance`, independently per image: a shift by up to
    `translate` of the size in each direction, in whole pixels; mirroring; a rotation about the centre by up to
    `degrees`; and colour jitter. The jitter changes brightness, contrast and saturation by a factor in
    [1 - jitter, 1 + jitter] and rotates the hue by up to `hue` of the colour circle, in random order per image.
    Positions are rounded to the nearest pixel, as in the report. Hue and saturation do not change images without three
    channels.

    The report augments after normalising to [-1, 1], which has two effects that look unintended. First, pixels from
    outside the image are 0 after normalisation, a medium grey; `fill` is that grey by default. Second, torchvision's
    colour jitter clips to [0, 1], so in 30 % of the images all pixels darker than medium grey become medium grey. Here
    the jitter is applied to pixels in [0, 1], where clipping has no such effect.

    Source: report jiang, figure 7.
    """

    name = "jiang_augment"

    chance: Annotated[
        float, Meta(ge=0, le=1, description="probability of each of the four transforms"), Tune(0.1, 0.6)
    ] = 0.3
    translate: Annotated[
        float, Meta(ge=0, lt=1, description="largest shift, as a fraction of the size"), Tune(0.05, 0.2)
    ] = 0.1
    degrees: Annotated[
        float, Meta(ge=0, le=180, description="largest rotation in either direction"), Tune(15.0, 90.0)
    ] = 45.0
    jitter: Annotated[
        float, Meta(ge=0, le=1, description="brightness, contrast, saturation: 1 +- this"), Tune(0.1, 0.4)
    ] = 0.2
    hue: Annotated[
        float,
        Meta(ge=0, le=0.5, description="largest rotation of the hue, as a fraction of the circle"),
        Tune(0.05, 0.3),
    ] = 0.2
    fill: Annotated[
        float, Meta(ge=0, le=1, description="value of pixels from outside the image"), NotTuned("is no strength")
    ] = 0.5

    def without_effect(self) -> tuple[str, ...]:
        if not self.chance:
            return ("translate", "degrees", "jitter", "hue", "fill")
        return () if self.translate or self.degrees else ("fill",)

    def apply(self, images: Tensor, generator: Generator) -> Tensor:
        """Return the transformed images. images: float [B, channels, size, size] in [0, 1]."""
        return self.recolour(self.move(images, generator), generator)

    def move(self, images: Tensor, generator: Generator) -> Tensor:
        """Return shifted, mirrored and rotated copies of the images."""
        import torch

        height, width = images.shape[-2:]
        chosen, draws = self._draws(images, 3, generator)
        those = chosen.any(0).nonzero().squeeze(1)
        (shifted, mirrored, rotated), (angle, right, down) = chosen[:, those], draws[:, those]

        def each(numbers: Tensor, switch: Tensor) -> Tensor:
            return (numbers * switch)[:, None, None]

        # The source position of each pixel of the result: transformations in reverse order.
        angle = each(angle * self.degrees, rotated).deg2rad()
        cos, sin = angle.cos(), angle.sin()
        y = torch.arange(height, device=images.device, dtype=images.dtype)[:, None] - (height - 1) / 2
        x = torch.arange(width, device=images.device, dtype=images.dtype) - (width - 1) / 2
        column = (x * cos - y * sin + (width - 1) / 2).round_()
        row = (x * sin + y * cos + (height - 1) / 2).round_()
        outside = _outside(row, height) | _outside(column, width)
        # Mirroring maps a column to width - 1 - column.
        flipped = mirrored.to(x.dtype)[:, None, None]
        column = column * (1 - 2 * flipped) + (width - 1) * flipped
        column -= each((right * self.translate * width).round(), shifted)
        row -= each((down * self.translate * height).round(), shifted)
        outside |= _outside(row, height) | _outside(column, width)
        # Positions outside read one extra pixel at the end, which holds the fill value.
        place = row.mul_(width).add_(column).masked_fill_(outside, height * width).long()
        pixels = torch.nn.functional.pad(images[those].flatten(2), (0, 1), value=self.fill)
        seen = pixels.gather(2, place.flatten(1)[:, None].expand(-1, images.shape[1], -1))
        moved = images.clone()
        moved[those] = seen.view(-1, *images.shape[1:])
        return moved

    def recolour(self, images: Tensor, generator: Generator) -> Tensor:
        """Jitter the colours of the images in place and return them."""
        import torch

        chosen, draws = self._draws(images, 1, generator, 4)
        order = torch.rand(len(images), 4, generator=generator, device=images.device).argsort(1)
        strengths = (1 + draws[0] * self.jitter, 1 + draws[1] * self.jitter, 1 + draws[2] * self.jitter)
        return _colour.jitter(images, chosen[0], (*strengths, draws[3] * self.hue), order)

    def _draws(self, images: Tensor, switches: int, generator: Generator, numbers: int = 3) -> tuple[Tensor, Tensor]:
        """Return which transformations are on, bool [switches, B], and numbers in [-1, 1), [numbers, B]."""
        import torch

        drawn = torch.rand(
            switches + numbers, len(images), generator=generator, device=images.device, dtype=images.dtype
        )
        return drawn[:switches] < self.chance, drawn[switches:] * 2 - 1


def _outside(place: Tensor, size: int) -> Tensor:
    return (place < 0) | (place >= size)


@hookimpl
def ltbench_augments() -> list[type[Augment]]:
    return [JiangAugment]
