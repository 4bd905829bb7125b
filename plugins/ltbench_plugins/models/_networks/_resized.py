"""A network on resized images."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn


class Resize(nn.Module):
    """Resizes images float [B, channels, H, W] bilinearly to `size` x `size`."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, images: Tensor) -> Tensor:
        # In float32, as torch does not support this resize of bfloat16 on a CPU.
        resized = nn.functional.interpolate(images.float(), (self.size,) * 2, mode="bilinear", antialias=True)
        return resized.to(images.dtype)


class Resized(nn.Module):
    """A network after a resize of its images to `size` x `size`."""

    def __init__(self, network: nn.Module, size: int) -> None:
        super().__init__()
        self.resize = Resize(size)
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        return cast("Tensor", self.network(self.resize(images)))

    def forward_features(self, images: Tensor) -> Tensor:
        return cast("Tensor", self.network.forward_features(self.resize(images)))  # type: ignore[operator]

    def forward_head(self, maps: Tensor, pre_logits: bool = False) -> Tensor:
        return cast("Tensor", self.network.forward_head(maps, pre_logits=pre_logits))  # type: ignore[operator]

    def blocks(self) -> list[nn.Module]:
        """Return the blocks of the network, the first with the resize."""
        first, *others = self.network.blocks()  # type: ignore[operator]
        return [nn.Sequential(self.resize, first), *others]

    def get_classifier(self) -> nn.Module:
        return cast("nn.Module", self.network.get_classifier())  # type: ignore[operator]


def resized(network: nn.Module, size: int) -> nn.Module:
    """Return the network with a resize to `size` pixels before it; the network itself for 0."""
    return Resized(network, size) if size else network
