"""Classifiers: features float [B, D] -> logits float [B, C]."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class CosineLayer(nn.Module):
    """`scale` times the cosine of the angle between the features and the weights of each class."""

    def __init__(self, features: int, classes: int, scale: float, *, learn: bool) -> None:
        super().__init__()
        self.in_features, self.out_features = features, classes
        # Directions that are uniform on the sphere; the lengths have no effect on the logits.
        self.weight = nn.Parameter(functional.normalize(torch.randn(classes, features)))
        factor = torch.tensor(scale)
        if learn:
            self.scale = nn.Parameter(factor)
        else:
            self.register_buffer("scale", factor)

    def forward(self, features: Tensor) -> Tensor:
        """Return logits."""
        return self.scale * functional.linear(functional.normalize(features), functional.normalize(self.weight))


class UnitWeightLayer(nn.Module):
    """The product of the features with the weights of each class, divided by their norm."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.in_features, self.out_features = features, classes
        self.weight = nn.Parameter(functional.normalize(torch.randn(classes, features)))

    def forward(self, features: Tensor) -> Tensor:
        """Return logits."""
        return functional.linear(features, functional.normalize(self.weight))


class SimplexLayer(nn.Module):
    """`scale` times the product of normalised features with fixed weights of norm 1, all at the same angle."""

    weight: Tensor
    bias: None = None

    def __init__(self, weight: Tensor, scale: float) -> None:
        super().__init__()
        self.out_features, self.in_features = weight.shape
        self.scale = scale
        self.register_buffer("weight", weight)

    def forward(self, features: Tensor) -> Tensor:
        """Return logits."""
        return self.scale * functional.linear(functional.normalize(features), self.weight)


def simplex(features: int, classes: int) -> Tensor:
    """Return the vertices of a regular simplex around 0, float [C, D]: norm 1, inner products -1 / (C - 1).

    Its orientation is random. D must be at least C - 1.
    """
    # The C - 1 contrasts of Helmert: orthonormal, and orthogonal to (1, ..., 1), so their rows are the vertices.
    contrasts = torch.ones(classes, classes - 1, dtype=torch.float64).triu()
    sizes = torch.arange(1, classes, dtype=torch.float64)
    contrasts[torch.arange(1, classes), torch.arange(classes - 1)] = -sizes
    contrasts /= (sizes * (sizes + 1)).sqrt()
    rotation = torch.linalg.qr(torch.randn(features, classes - 1, dtype=torch.float64)).Q
    return functional.normalize(contrasts @ rotation.T).float()
