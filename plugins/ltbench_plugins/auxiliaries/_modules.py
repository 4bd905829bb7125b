"""What auxiliaries learn, and fixed targets on the unit sphere."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from ltbench_plugins.heads._layers import simplex

_SPREAD_STEPS, _SPREAD_TEMPERATURE = 100, 0.07


class Projector(nn.Sequential):
    """A network with one hidden layer, by default as wide as the features."""

    def __init__(self, features: int, dimension: int, hidden: int | None = None, *, norm: bool = False) -> None:
        """norm: with batch normalisation of the hidden layer."""
        width = hidden or features
        norms: list[nn.Module] = [nn.BatchNorm1d(width)] if norm else []
        super().__init__(nn.Linear(features, width), *norms, nn.ReLU(), nn.Linear(width, dimension))


class TargetedProjector(nn.Module):
    """A projector, and fixed targets float [C, d] that are spread over the unit sphere."""

    targets: Tensor

    def __init__(self, features: int, dimension: int, classes: int) -> None:
        super().__init__()
        self.projector = Projector(features, dimension)
        self.register_buffer("targets", spread(classes, dimension))

    def forward(self, features: Tensor) -> Tensor:
        """Return projections."""
        projections: Tensor = self.projector(features)
        return projections


class CentredProjector(nn.Module):
    """A projector of features, and one of class weights to centres."""

    def __init__(self, features: int, dimension: int, hidden: int) -> None:
        super().__init__()
        self.projector = Projector(features, dimension, hidden, norm=True)
        self.of_weights = Projector(features, dimension, hidden, norm=True)

    def forward(self, features: Tensor) -> Tensor:
        """Return projections."""
        projections: Tensor = self.projector(features)
        return projections

    def centres(self, classifiers: Sequence[nn.Module]) -> Tensor:
        """Return a centre of norm 1 for each class, float [E, C, d], from the weights of E classifiers."""
        weights = [layer.weight for layer in classifiers]
        rows = functional.normalize(self.of_weights(torch.cat(weights)), dim=1)  # type: ignore[arg-type]
        return rows.view(len(weights), -1, rows.shape[1])


def spread(classes: int, dimension: int) -> Tensor:
    """Return points on the unit sphere that are spread uniformly, float [C, d].

    They minimise mean_i log sum_j exp(x_i x_j / 0.07): a regular simplex where the dimension allows it, else by gradient
    descent.
    """
    if classes <= dimension + 1:
        return simplex(dimension, classes)
    points = functional.normalize(torch.randn(classes, dimension))
    for step in range(_SPREAD_STEPS):
        similarities = (points @ points.T / _SPREAD_TEMPERATURE).fill_diagonal_(-torch.inf)
        shares = similarities.softmax(1)
        points = functional.normalize(points - (0.5 - 0.5 * step / _SPREAD_STEPS) * (shares + shares.T) @ points)
    return points
