"""A network on resized images."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn


class Resized(nn.Module):
    """Resizes images float [B, channels, H, W] bilinearly to `size` x `size` before `network`."""

    def __init__(self, network: nn.Module, size: int) -> None:
        super().__init__()
        self.network = network
        self.size = size

    def forward(self, images: Tensor) -> Tensor:
        # In float32, as torch does not support this resize of bfloat16 on a CPU.
        resized = nn.functional.interpolate(images.float(), (self.size,) * 2, mode="bilinear", antialias=True)
        return cast("Tensor", self.network(resized.to(images.dtype)))

    def get_classifier(self) -> nn.Module:
        return cast("nn.Module", self.network.get_classifier())  # type: ignore[operator]


def resized(network: nn.Module, size: int) -> nn.Module:
    """Return the network with a resize to `size` pixels before it; the network itself for 0."""
    return Resized(network, size) if size else network
