"""The operations of AutoAugment and its relatives on whole batches, with a magnitude for each image.

Images are float [B, channels, size, size] in [0, 1]; magnitudes float [B]. Results are those of torchvision's functions on
bytes, up to their rounding; pixels from outside an image are black. Operations that count grey levels round to bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from ltbench_plugins.augments import _colour

if TYPE_CHECKING:
    from torch import Tensor

Operation = Callable[["Tensor", "Tensor"], "Tensor"]

_SMOOTH = (1, 1, 1, 1, 5, 1, 1, 1, 1)
"""The kernel of PIL's SMOOTH, by which sharpness blurs."""


def identity(images: Tensor, _magnitude: Tensor) -> Tensor:
    """Return the images."""
    return images


def shear_x(images: Tensor, magnitude: Tensor) -> Tensor:
    """Shift each row to the left by `magnitude` times its distance from the top edge."""
    return _resample(images, 1, magnitude, magnitude * images.shape[-2] / 2, 0, 1, 0)


def shear_y(images: Tensor, magnitude: Tensor) -> Tensor:
    """Shift each column upwards by `magnitude` times its distance from the left edge."""
    return _resample(images, 1, 0, 0, magnitude, 1, magnitude * images.shape[-1] / 2)


def translate_x(images: Tensor, magnitude: Tensor) -> Tensor:
    """Shift by a fraction of the width, to whole pixels, to the right."""
    return _resample(images, 1, 0, -(magnitude * images.shape[-1]).trunc(), 0, 1, 0)


def translate_y(images: Tensor, magnitude: Tensor) -> Tensor:
    """Shift by a fraction of the height, to whole pixels, downwards."""
    return _resample(images, 1, 0, 0, 0, 1, -(magnitude * images.shape[-2]).trunc())


def rotate(images: Tensor, magnitude: Tensor) -> Tensor:
    """Rotate counter-clockwise about the centre, in degrees."""
    angle = magnitude.deg2rad()
    cos, sin = angle.cos(), angle.sin()
    return _resample(images, cos, -sin, 0, sin, cos, 0)


def brightness(images: Tensor, magnitude: Tensor) -> Tensor:
    """Blend with black by the factor 1 + magnitude."""
    return _colour.brightness(images, _each(1 + magnitude))


def color(images: Tensor, magnitude: Tensor) -> Tensor:
    """Blend with the grey version by the factor 1 + magnitude."""
    return _colour.saturation(images, _each(1 + magnitude))


def contrast(images: Tensor, magnitude: Tensor) -> Tensor:
    """Blend with the mean grey value by the factor 1 + magnitude."""
    return _colour.contrast(images, _each(1 + magnitude))


def sharpness(images: Tensor, magnitude: Tensor) -> Tensor:
    """Blend with a blurred version by the factor 1 + magnitude."""
    return filtered(images, _SMOOTH).lerp(images, _each(1 + magnitude)).clamp_(0, 1)


def posterize(images: Tensor, magnitude: Tensor) -> Tensor:
    """Keep this number of the highest bits of each pixel."""
    step = _each(2 ** (8 - magnitude.trunc()))
    return ((images * 255).round() / step).floor_().mul_(step).div_(255)


def solarize(images: Tensor, magnitude: Tensor) -> Tensor:
    """Invert the pixels from this value on."""
    return images.where(images < _each(magnitude), 1 - images)


def invert(images: Tensor, _magnitude: Tensor) -> Tensor:
    """Invert all pixels."""
    return 1 - images


def auto_contrast(images: Tensor, _magnitude: Tensor) -> Tensor:
    """Stretch each channel to the whole range of values."""
    low, high = images.amin((2, 3), keepdim=True), images.amax((2, 3), keepdim=True)
    spread = high - low
    return ((images - low) / spread.where(spread > 0, 1)).where(spread > 0, images)


def equalize(images: Tensor, _magnitude: Tensor) -> Tensor:
    """Make the histogram of each channel as even as possible."""
    import torch

    levels = (images * 255).round().long().flatten(2)
    histogram = torch.zeros(*levels.shape[:2], 256, dtype=torch.int64, device=images.device)
    histogram.scatter_add_(2, levels, torch.ones_like(levels))
    highest = levels.amax(2, keepdim=True)
    step = (levels.shape[2] - histogram.gather(2, highest)) // 255
    below = histogram.cumsum(2) - histogram
    table = ((below + step // 2) // step.clamp(min=1)).clamp_(max=255)
    return (table.gather(2, levels).where(step > 0, levels).to(images.dtype) / 255).view_as(images)


def filtered(images: Tensor, kernel: tuple[float, ...]) -> Tensor:
    """Return the images after a filter of 3 x 3 weights, which are normalised; pixels at the border are unchanged."""
    import torch

    channels = images.shape[1]
    weights = images.new_tensor(kernel).div_(sum(kernel)).view(1, 1, 3, 3).expand(channels, 1, 3, 3)
    result = images.clone()
    if min(images.shape[-2:]) > 2:
        result[..., 1:-1, 1:-1] = torch.nn.functional.conv2d(images, weights, groups=channels).clamp_(0, 1)
    return result


OPERATIONS: Mapping[str, Operation] = {
    "Identity": identity,
    "ShearX": shear_x,
    "ShearY": shear_y,
    "TranslateX": translate_x,
    "TranslateY": translate_y,
    "Rotate": rotate,
    "Brightness": brightness,
    "Color": color,
    "Contrast": contrast,
    "Sharpness": sharpness,
    "Posterize": posterize,
    "Solarize": solarize,
    "AutoContrast": auto_contrast,
    "Equalize": equalize,
    "Invert": invert,
}
"""Operations by their names in the papers."""


def apply_each(images: Tensor, number: Tensor, magnitude: Tensor, operations: tuple[Operation, ...]) -> Tensor:
    """Return the images, each after one of the operations. number: int64 [B], of the operation; magnitude: float [B]."""
    result = images.clone()
    for one, operation in enumerate(operations):
        those = (number == one).nonzero().squeeze(1)
        if operation is not identity and len(those):
            result[those] = operation(images[those], magnitude[those])
    return result


def _each(values: Tensor) -> Tensor:
    return values[:, None, None, None]


def _resample(images: Tensor, *matrix: Tensor | float) -> Tensor:
    """Return the nearest source pixel of each pixel; black outside.

    matrix: a, b, c, d, e, f of `x' = a x + b y + c, y' = d x + e y + f`, with positions of pixels from the centre.
    """
    import torch

    height, width = images.shape[-2:]
    a, b, c, d, e, f = (torch.as_tensor(value).to(images).expand(len(images))[:, None, None] for value in matrix)
    y = torch.arange(height, device=images.device, dtype=images.dtype)[:, None] - (height - 1) / 2
    x = torch.arange(width, device=images.device, dtype=images.dtype) - (width - 1) / 2
    column = (a * x + b * y + c + (width - 1) / 2).round_()
    row = (d * x + e * y + f + (height - 1) / 2).round_()
    outside = (row < 0) | (row >= height) | (column < 0) | (column >= width)
    # Positions outside read one extra pixel at the end, which is black.
    place = (row * width + column).masked_fill_(outside, height * width).long()
    pixels = torch.nn.functional.pad(images.flatten(2), (0, 1))
    seen = pixels.gather(2, place.flatten(1)[:, None].expand(-1, images.shape[1], -1))
    return seen.view_as(images)
