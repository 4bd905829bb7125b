"""The network of `airnet`."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import torch
from torch import Tensor, nn

from ltbench_plugins.models._networks._sizes import check_size

PATCH = 2
"""Height and width of the patches that the first layer whitens."""
EPS = 5e-4
"""Added to the eigenvalues of their covariance."""


class AirNetNetwork(nn.Module):
    """Images float [B, channels, size, size] -> logits float [B, classes]."""

    def __init__(self, channels: int, size: int, classes: int, widths: tuple[int, int, int], divisor: float) -> None:
        super().__init__()
        self.divisor = divisor
        left = (size - PATCH + 1) // 2 ** len(widths)
        check_size("airnet", size, least=2 ** len(widths) + PATCH - 1)
        filters = 2 * channels * PATCH**2
        self.whiten = nn.Conv2d(channels, filters, PATCH)
        nn.init.zeros_(self.whiten.bias)  # type: ignore[arg-type]
        self.first = nn.Sequential(self.whiten, nn.GELU())
        sizes = [filters, *widths]
        self.groups = nn.ModuleList(_Group(before, after) for before, after in pairwise(sizes))
        self.pool = nn.MaxPool2d(min(3, left))
        self.classifier = nn.Linear(widths[-1] * (left // min(3, left)) ** 2, classes, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(images))

    def forward_features(self, images: Tensor) -> Tensor:
        """Return the last maps, float [B, D, H, W]."""
        maps = images
        for block in self.blocks():
            maps = block(maps)
        return maps

    def forward_head(self, maps: Tensor, pre_logits: bool = False) -> Tensor:
        """Return logits, or the input of the classifier, of the last maps."""
        # Dividing features divides logits, too, and leaves the classifier linear.
        rows: Tensor = self.pool(maps).flatten(1) / self.divisor
        return rows if pre_logits else self.classifier(rows)

    def blocks(self) -> list[nn.Module]:
        """Return the whitening layer and the three groups, each of which halves height and width."""
        return [self.first, *self.groups]

    def get_classifier(self) -> nn.Module:
        """Return the last linear layer."""
        return self.classifier


class _Group(nn.Module):
    """Two 3x3 convolutions, each with batch normalisation and GELU, the first with max pooling."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            _identity(before, after), nn.MaxPool2d(2), _normalised(after), nn.GELU(),
            _identity(after, after), _normalised(after), nn.GELU(),
        )  # fmt: skip

    def forward(self, maps: Tensor) -> Tensor:
        result: Tensor = self.layers(maps)
        return result


def _identity(before: int, after: int) -> nn.Conv2d:
    """Return a convolution whose first filters copy their input."""
    layer = nn.Conv2d(before, after, 3, padding=1, bias=False)
    nn.init.dirac_(layer.weight.data[:before])
    return layer


def _normalised(width: int) -> nn.BatchNorm2d:
    """Return batch normalisation; its scale, which the model does not let learn, stays one."""
    return nn.BatchNorm2d(width, momentum=0.4, eps=1e-12)


def whitening(batches: Iterable[Tensor]) -> Tensor:
    """Return filters, float [2 D, channels, PATCH, PATCH], that whiten the patches of images, and their negatives.

    They are the D eigenvectors of the covariance of the patches, each divided by the root of its eigenvalue, from the
    largest eigenvalue on. batches: images, float [B, channels, size, size].
    """
    number, sums, products = 0, torch.zeros(()), torch.zeros(())
    for images in batches:
        # unfold gives [B, D, patches]; sums are exact enough in double precision.
        patches = nn.functional.unfold(images.double(), PATCH).transpose(0, 1).flatten(1)
        number += patches.shape[1]
        sums = sums + patches.sum(1)
        products = products + patches @ patches.T
    mean = sums / number
    values, vectors = torch.linalg.eigh(products / number - mean[:, None] * mean)
    filters = (vectors / (values + EPS).sqrt()).T.flip(0)
    return torch.cat([filters, -filters]).float().view(2 * len(filters), -1, PATCH, PATCH)
