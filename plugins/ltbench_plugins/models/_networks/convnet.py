"""The network of `convnet`."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn


class ConvNetNetwork(nn.Module):
    """Images float [B, channels, size, size] -> logits float [B, classes]."""

    def __init__(self, channels: int, classes: int, width: int, depth: int) -> None:
        super().__init__()
        widths = [channels, *(width * 2**number for number in range(depth))]
        self.features = nn.Sequential(*(_halving(before, after) for before, after in pairwise(widths)))
        self.classifier = nn.Linear(widths[-1], classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(images))

    def forward_features(self, images: Tensor) -> Tensor:
        """Return the last maps, float [B, D, H, W]."""
        maps: Tensor = self.features(images)
        return maps

    def forward_head(self, maps: Tensor, pre_logits: bool = False) -> Tensor:
        """Return logits, or the input of the classifier, of the last maps."""
        rows = maps.mean((2, 3))
        return rows if pre_logits else self.classifier(rows)

    def blocks(self) -> list[nn.Module]:
        """Return the blocks, each of which halves height and width."""
        return list(self.features)

    def get_classifier(self) -> nn.Module:
        """Return the last linear layer."""
        return self.classifier


def _halving(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True)
    )
