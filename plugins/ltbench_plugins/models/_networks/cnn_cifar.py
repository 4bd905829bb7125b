"""The network of `cnn_cifar`."""

from __future__ import annotations

from torch import Tensor, nn

from ltbench_plugins.models._networks._sizes import check_size

WIDTHS = (64, 128, 256, 512, 1024)
PADDINGS = (2, 2, 1, 1, 1)
HIDDEN = 8192
LAYERS = 4
"""Layers of a block."""


class CnnCifarNetwork(nn.Module):
    """Images float [B, channels, size, size] -> logits float [B, classes]."""

    def __init__(self, channels: int, size: int, classes: int) -> None:
        super().__init__()
        check_size("cnn_cifar", size, 10)
        layers: list[nn.Module] = []
        before = channels
        for width, padding in zip(WIDTHS, PADDINGS, strict=True):
            layers += [nn.Conv2d(before, width, 3, padding=padding), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(2)]
            before = width
        layers.pop()  # the last convolution is not pooled
        self.feature = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(before * _side(size) ** 2, HIDDEN),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(HIDDEN, HIDDEN),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(HIDDEN, classes),
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(images))

    def forward_features(self, images: Tensor) -> Tensor:
        """Return the last maps, float [B, 1024, H, W]."""
        maps: Tensor = self.feature(images)
        return maps

    def forward_head(self, maps: Tensor, pre_logits: bool = False) -> Tensor:
        """Return logits, or the input of the last layer, of the last maps."""
        rows: Tensor = self.classifier[:-1](maps) if pre_logits else self.classifier(maps)
        return rows

    def blocks(self) -> list[nn.Module]:
        """Return the blocks: convolution, batch normalisation, ReLU, and pooling except in the last."""
        starts = range(0, len(self.feature), LAYERS)
        return [self.feature[start : start + LAYERS] for start in starts]

    def get_classifier(self) -> nn.Module:
        """Return the last linear layer."""
        return self.classifier[-1]


def _side(size: int) -> int:
    """Return height and width of the last feature map: 2 for 32 pixels."""
    for padding in PADDINGS[:-1]:
        size = (size + 2 * (padding - 1)) // 2
    return size
