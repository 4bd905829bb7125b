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
        logits: Tensor = self.classifier(self.features(images).mean((2, 3)))
        return logits

    def get_classifier(self) -> nn.Module:
        """Return the last linear layer."""
        return self.classifier


def _halving(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True)
    )
