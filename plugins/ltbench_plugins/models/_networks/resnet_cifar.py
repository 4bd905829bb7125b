"""The residual networks for small images, He et al., 2016, section 4.2."""

from __future__ import annotations

from torch import Tensor, nn

WIDTHS = (16, 32, 64)


class ResNetCifar(nn.Module):
    """6 * blocks + 2 layers: images float [B, channels, H, W] -> logits float [B, classes].

    Three stages of `blocks` residual blocks with 16, 32 and 64 channels; the second and third halve the map. Weights
    are initialised as by He et al.
    """

    def __init__(self, blocks: int, channels: int, classes: int) -> None:
        super().__init__()
        first, _, last = WIDTHS
        self.stem = nn.Sequential(
            nn.Conv2d(channels, first, 3, padding=1, bias=False), nn.BatchNorm2d(first), nn.ReLU()
        )
        stages: list[nn.Module] = []
        before = first
        for width in WIDTHS:
            stages.append(Block(before, width))
            stages += [Block(width, width) for _ in range(blocks - 1)]
            before = width
        self.stages = nn.Sequential(*stages)
        self.classifier = nn.Linear(last, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, images: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(images))

    def forward_features(self, images: Tensor) -> Tensor:
        """Return the last maps, float [B, 64, H / 4, W / 4]."""
        maps: Tensor = self.stages(self.stem(images))
        return maps

    def forward_head(self, maps: Tensor, pre_logits: bool = False) -> Tensor:
        """Return logits, or the input of the classifier, of the last maps."""
        rows = maps.mean((2, 3))
        return rows if pre_logits else self.classifier(rows)

    def blocks(self) -> list[nn.Module]:
        """Return the stem and the three stages."""
        each = len(self.stages) // len(WIDTHS)
        return [self.stem, *(self.stages[start : start + each] for start in range(0, len(self.stages), each))]

    def get_classifier(self) -> nn.Module:
        """Return the last linear layer."""
        return self.classifier


class Block(nn.Module):
    """Two convolutions 3x3 and a shortcut without parameters (option A)."""

    def __init__(self, before: int, width: int) -> None:
        super().__init__()
        self.stride = 1 if before == width else 2
        self.more = width - before
        self.conv1 = nn.Conv2d(before, width, 3, stride=self.stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)

    def forward(self, maps: Tensor) -> Tensor:
        inner = self.bn1(self.conv1(maps)).relu()
        outer: Tensor = self.bn2(self.conv2(inner)) + self.shortcut(maps)
        return outer.relu()

    def shortcut(self, maps: Tensor) -> Tensor:
        """Return every second pixel, with zero channels added equally before and after."""
        if self.stride == 1:
            return maps
        half = self.more // 2
        return nn.functional.pad(maps[:, :, ::2, ::2], (0, 0, 0, 0, half, self.more - half))
