"""Squares painted over images."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Generator, Tensor


def cut_out(images: Tensor, share: float, fill: float, generator: Generator) -> Tensor:
    """Return images float [B, channels, size, size] with a square of each painted over.

    share: side of the square over that of the image, rounded down to an even number of pixels, at least two. Centres are uniform in the image; squares are clipped to it.
    """
    import torch

    size = images.shape[-1]
    half = max(int(share * size) // 2, 1)
    centre = torch.randint(size, (len(images), 2, 1), generator=generator, device=images.device)
    place = torch.arange(size, device=images.device)
    inside = (place >= centre - half) & (place < centre + half)
    return images.masked_fill(inside[:, None, 0, :, None] & inside[:, None, 1, None, :], fill)
