"""Colour jitter of a batch with a factor per image; the formulas are those of torchvision for single images.

Images are float [B, channels, H, W] in [0, 1], factors float [B, 1, 1, 1]. Hue and saturation leave images without
three channels unchanged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

_LUMA = (0.2989, 0.587, 0.114)
"""Weights of red, green and blue in the grey value (ITU-R 601-2), as in torchvision."""


def grey(images: Tensor) -> Tensor:
    """Return the grey value of each pixel, [B, 1, H, W]."""
    if images.shape[1] != 3:
        return images.mean(1, keepdim=True)
    return (images * images.new_tensor(_LUMA).view(3, 1, 1)).sum(1, keepdim=True)


def brightness(images: Tensor, factor: Tensor) -> Tensor:
    """Return the images blended with black: 0 is black, 1 the image itself."""
    return (images * factor).clamp_(0, 1)


def contrast(images: Tensor, factor: Tensor) -> Tensor:
    """Return the images blended with their mean grey value."""
    return grey(images).mean((2, 3), keepdim=True).lerp(images, factor).clamp_(0, 1)


def saturation(images: Tensor, factor: Tensor) -> Tensor:
    """Return the images blended with their own grey version."""
    return grey(images).lerp(images, factor).clamp_(0, 1) if images.shape[1] == 3 else images


def hue(images: Tensor, turn: Tensor) -> Tensor:
    """Return the images with hues rotated by a fraction of the colour circle in [-0.5, 0.5]."""
    if images.shape[1] != 3:
        return images
    red, green, blue = images.unbind(1)
    high = images.amax(1)
    chroma = high - images.amin(1)
    spread = chroma.where(chroma > 0, 1)
    # Position on the colour circle in sixths: 0 is red, 2 green, 4 blue.
    place = ((red - green) / spread + 4).where(high == blue, 0)
    place = ((blue - red) / spread + 2).where(high == green, place)
    place = ((green - blue) / spread).where(high == red, place)
    place = place + 6 * turn[:, 0]
    # The inverse in one formula for all channels: red, green and blue fall off around 0, 2 and 4.
    away = images.new_tensor([5.0, 3.0, 1.0]).view(3, 1, 1) + place[:, None]
    away -= 6 * (away / 6).floor_()
    fall = away.minimum(4 - away).clamp_(0, 1)
    return (high[:, None] - chroma[:, None] * fall).clamp_(0, 1)


def jitter(images: Tensor, chosen: Tensor, strengths: tuple[Tensor, Tensor, Tensor, Tensor], order: Tensor) -> Tensor:
    """Change the colours of chosen images in place and return all images.

    chosen: bool [B]; strengths: factors of brightness, contrast and saturation, and the rotation of the hue, each float
    [B]; order: int64 [B, 4], in which an image is changed by these four.
    """
    changes = (brightness, contrast, saturation, hue)
    for turn in order.unbind(1):
        for number, (change, strength) in enumerate(zip(changes, strengths, strict=True)):
            those = (chosen & (turn == number)).nonzero().squeeze(1)
            images[those] = change(images[those], strength[those, None, None, None])
    return images
