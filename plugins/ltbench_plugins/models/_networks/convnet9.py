"""The network of `convnet9`."""

from __future__ import annotations

from torch import Tensor, nn

from ltbench_plugins.models._networks._sizes import check_size

WIDTHS = (32, 64, 128)


class ConvNet9Network(nn.Module):
    """Images float [B, channels, size, size] -> logits float [B, classes]."""

    def __init__(self, channels: int, size: int, classes: int) -> None:
        super().__init__()
        check_size("convnet9", size, 8)
        first, second, third = WIDTHS
        self.block1, self.shortcut1 = _block(channels, first), _shortcut(channels, first)
        self.block2, self.shortcut2 = _block(first, second), _shortcut(first, second)
        self.block3 = _block(second, third)
        self.classifier = nn.Linear(third * (size // 8) ** 2, classes)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.block1(images) + self.shortcut1(_every_second(images))
        maps = self.block2(maps) + self.shortcut2(_every_second(maps))
        logits: Tensor = self.classifier(self.block3(maps).flatten(1))
        return logits

    def get_classifier(self) -> nn.Module:
        """Return the last linear layer."""
        return self.classifier


def _block(before: int, width: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (before, width, width):
        layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(width)]
    return nn.Sequential(*layers, nn.MaxPool2d(2))


def _shortcut(before: int, width: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, width, 1, bias=False), nn.BatchNorm2d(width))


def _every_second(maps: Tensor) -> Tensor:
    """Return every second pixel; like pooling, drop the last row and column of an odd map.

    With a 1x1 convolution after it, this is a convolution of stride 2 in a safe form (see `_pointwise`).
    """
    height, width = maps.shape[-2:]
    return maps[..., : height - height % 2 : 2, : width - width % 2 : 2]
