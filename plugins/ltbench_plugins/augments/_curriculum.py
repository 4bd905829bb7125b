"""The operations of CUDA, whose number and magnitude is a level for each image.

The ranges are those of the paper's appendix and code. Translations are in pixels of images of 32 pixels and scale with
the size. The magnitude of level l of 30 lies a share l / 30 between the ends of a range.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ltbench_plugins.augments import _operations as ops

if TYPE_CHECKING:
    from torch import Generator, Tensor

LEVELS = 10
"""The highest level."""
_MOST = 30
"""The level at the end of the ranges."""
_EDGES = (-1, -1, -1, -1, 10, -1, -1, -1, -1)
_DETAIL = (0, -1, 0, -1, 10, -1, 0, -1, 0)
_SMOOTH = (1, 1, 1, 1, 5, 1, 1, 1, 1)
"""The kernels of PIL's filters EDGE_ENHANCE, DETAIL and SMOOTH."""


def flip(images: Tensor, _magnitude: Tensor) -> Tensor:
    """Turn upside down."""
    return images.flip(-2)


def mirror(images: Tensor, _magnitude: Tensor) -> Tensor:
    """Mirror left to right."""
    return images.flip(-1)


def edge_enhance(images: Tensor, _magnitude: Tensor) -> Tensor:
    """Strengthen edges."""
    return ops.filtered(images, _EDGES)


def detail(images: Tensor, _magnitude: Tensor) -> Tensor:
    """Strengthen details."""
    return ops.filtered(images, _DETAIL)


def smooth(images: Tensor, _magnitude: Tensor) -> Tensor:
    """Blur a little."""
    return ops.filtered(images, _SMOOTH)


def gaussian_blur(images: Tensor, magnitude: Tensor) -> Tensor:
    """Blur with a Gaussian of this standard deviation, in pixels of images of 32 pixels."""
    import torch

    deviation = (magnitude * images.shape[-1] / 32).clamp(min=1e-3)
    reach = 1 + int(3 * float(deviation.max()))
    place = torch.arange(-reach, reach + 1, device=images.device)
    weights = (-(place**2) / (2 * deviation[:, None] ** 2)).exp()
    weights = weights / weights.sum(1, keepdim=True)
    count, channels, _, width = images.shape
    flat = weights.repeat_interleave(channels, 0)
    padded = torch.nn.functional.pad(images, (reach,) * 4, mode="replicate").view(
        1, count * channels, -1, width + 2 * reach
    )
    rows = torch.nn.functional.conv2d(padded, flat[:, None, :, None], groups=count * channels)
    return (
        torch.nn.functional.conv2d(rows, flat[:, None, None, :], groups=count * channels).view_as(images).clamp_(0, 1)
    )


def resize_crop(images: Tensor, magnitude: Tensor) -> Tensor:
    """Enlarge by this factor, and crop the centre."""
    import torch

    zero, scale = torch.zeros_like(magnitude), 1 / magnitude
    rows = torch.stack([scale, zero, zero, zero, scale, zero], 1).view(-1, 2, 3)
    grid = torch.nn.functional.affine_grid(rows, list(images.shape), align_corners=False)
    return torch.nn.functional.grid_sample(images, grid, padding_mode="border", align_corners=False).clamp_(0, 1)


def solarize_add(images: Tensor, magnitude: Tensor) -> Tensor:
    """Add this to all pixels, and invert those from 1/2 on."""
    brighter = (images + magnitude[:, None, None, None]).clamp_(0, 1)
    return brighter.where(brighter < 128 / 255, 1 - brighter)


def posterize(images: Tensor, magnitude: Tensor) -> Tensor:
    """Keep this number of bits, at least one."""
    return ops.posterize(images, magnitude.clamp(min=1))


OPERATIONS = (
    (flip, 0.0, 1.0, False), (mirror, 0.0, 1.0, False), (edge_enhance, 0.0, 1.0, False), (detail, 0.0, 1.0, False),
    (smooth, 0.0, 1.0, False), (ops.auto_contrast, 0.0, 1.0, False), (ops.equalize, 0.0, 1.0, False),
    (ops.invert, 0.0, 1.0, False), (gaussian_blur, 0.0, 2.0, False), (resize_crop, 1.0, 1.5, False),
    (ops.rotate, 0.0, 30.0, True), (posterize, 0.0, 4.0, False), (ops.solarize, 0.0, 256 / 255, False),
    (solarize_add, 0.0, 110 / 255, False),
    # The code blends by a factor from 0.1 to 1.9; ours are given the factor less one.
    (ops.color, -0.9, 0.9, False), (ops.contrast, -0.9, 0.9, False), (ops.brightness, -0.9, 0.9, False),
    (ops.sharpness, -0.9, 0.9, False), (ops.shear_x, 0.0, 0.3, True), (ops.shear_y, 0.0, 0.3, True),
    (ops.translate_x, 0.0, 100 / 32, True), (ops.translate_y, 0.0, 100 / 32, True),
)  # fmt: skip
"""Operations, the ends of their ranges, and whether the sign is random."""


def strengthen(images: Tensor, level: Tensor, generator: Generator) -> Tensor:
    """Return the images, each after as many random operations as its level says, of this magnitude.

    images: float [B, channels, size, size] in [0, 1]; level: int64 [B], 0 for an unchanged image.
    """
    import torch

    device, size = images.device, len(images)
    low, high = images.new_tensor([[least, most] for _, least, most, _ in OPERATIONS]).unbind(1)
    signed = torch.tensor([both for *_, both in OPERATIONS], device=device)
    numbers = torch.randint(len(OPERATIONS), (LEVELS, size), generator=generator, device=device)
    down = torch.rand(LEVELS, size, generator=generator, device=device) > 0.5
    result = images.clone()
    for turn in range(int(level.max()) if size else 0):
        those = (level > turn).nonzero().squeeze(1)
        number = numbers[turn, those]
        magnitude = low[number] + (high - low)[number] * level[those] / _MOST
        magnitude = magnitude.where(~(signed[number] & down[turn, those]), -magnitude)
        result[those] = ops.apply_each(result[those], number, magnitude, tuple(one for one, *_ in OPERATIONS))
    return result
