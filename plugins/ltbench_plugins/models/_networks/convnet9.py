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
        # A tuple, as registering the same layers again would give their parameters second names.
        self._blocks = (_Residual(self.block1, self.shortcut1), _Residual(self.block2, self.shortcut2), self.block3)

    def forward(self, images: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(images))

    def forward_features(self, images: Tensor) -> Tensor:
        """Return the last maps, float [B, 128, H, W]."""
        for block in self._blocks:
            images = block(images)
        return images

    def forward_head(self, maps: Tensor, pre_logits: bool = False) -> Tensor:
        """Return logits, or the input of the classifier, of the last maps."""
        rows = maps.flatten(1)
        return rows if pre_logits else self.classifier(rows)

    def blocks(self) -> list[nn.Module]:
        """Return the three blocks, the first two with their shortcuts."""
        return list(self._blocks)

    def get_classifier(self) -> nn.Module:
        """Return the last linear layer."""
        return self.classifier


class _Residual(nn.Module):
    def __init__(self, block: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.block, self.shortcut = block, shortcut

    def forward(self, maps: Tensor) -> Tensor:
        outer: Tensor = self.block(maps) + self.shortcut(_every_second(maps))
        return outer


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
