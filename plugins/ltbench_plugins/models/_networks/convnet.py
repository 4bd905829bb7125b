"""The network of `convnet`."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from ltbench_plugins.models._networks._sizes import check_size


class ConvNetNetwork(nn.Module):
    """Images float [B, channels, size, size] -> logits float [B, classes]."""

    def __init__(self, channels: int, size: int, classes: int, width: int, depth: int) -> None:
        super().__init__()
        check_size("convnet", size, 2 ** (depth - 1))
        widths = [channels, *(width * 2**number for number in range(depth))]
        layers: list[nn.Module] = []
        for number, (before, after) in enumerate(pairwise(widths), start=1):
            stride = 2 if number < depth else 1
            layers += [
                nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(inplace=True),
            ]
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(widths[-1], classes)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.features(images).mean((2, 3)))
        return logits

    def get_classifier(self) -> nn.Module:
        """Return the last linear layer."""
        return self.classifier
