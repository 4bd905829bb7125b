"""Paste boxes of other images into the images of a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from ltbench import Meta, NotTuned, Tune
from ltbench_plugins.mixes._beta import draw_beta

if TYPE_CHECKING:
    from torch import Generator, Tensor

Alpha = Annotated[
    float,
    Meta(gt=0, description="the share is drawn from Beta(alpha, alpha) for each image"),
    Tune(0.25, 4.0, log=True),
]
FixedShare = Annotated[
    float,
    Meta(ge=0, le=1, description="a fixed share of the first image, instead of alpha"),
    NotTuned("takes the place of alpha, which is tuned"),
]


def shares(images: Tensor, alpha: float, fixed: float | None, generator: Generator) -> Tensor:
    """Return the share that each image keeps, float [B]: `fixed`, or drawn from Beta(alpha, alpha)."""
    import torch

    if fixed is not None:
        return images.new_full((len(images),), fixed)
    if alpha == 1:
        return torch.rand(len(images), generator=generator, device=images.device, dtype=images.dtype)
    return draw_beta(alpha, len(images), images, generator).to(images.dtype)


def paste(images: Tensor, others: Tensor, keep: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
    """Return the images with a box of others pasted in, and the share of pixels that each kept, float [B].

    images, others: float [B, channels, H, W]; keep: float [B], the share to keep, or float [1] for a box that all images
    have in common; then the result is float [1], too. The sides of a box are
    `sqrt(1 - keep)` times those of the image, rounded down to whole pixels, and its centre is uniform in the image.
    Boxes are clipped to the image, so the actual share can be larger.
    """
    import torch

    height, width = images.shape[-2:]
    side = (1 - keep).sqrt()

    def span(size: int) -> tuple[Tensor, Tensor]:
        centre = torch.randint(size, keep.shape, generator=generator, device=images.device)
        half = (side * size).long() // 2
        return (centre - half).clamp(min=0), (centre + half).clamp(max=size)

    top, bottom = span(height)
    left, right = span(width)
    rows = torch.arange(height, device=images.device)
    columns = torch.arange(width, device=images.device)
    in_rows = (rows >= top[:, None]) & (rows < bottom[:, None])
    in_columns = (columns >= left[:, None]) & (columns < right[:, None])
    box = in_rows[:, None, :, None] & in_columns[:, None, None, :]
    area = (bottom - top) * (right - left)
    return torch.where(box, others, images), 1 - area.to(images.dtype) / (height * width)
