"""The network of a training on stored features: only a classifier.

Its initial weights are those of the classifier in the whole network with the same seed.
"""

from __future__ import annotations

import copy
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ltbench.engine.network import build_for, measure_for
from ltbench.errors import JobFailed
from ltbench.stages import DatasetInfo, Model


class FeatureNetwork(nn.Module):
    """Features float [B, D] -> logits float [B, C]."""

    def __init__(self, classifier: nn.Module) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, features: Tensor) -> Tensor:
        """Return the logits."""
        logits: Tensor = self.classifier(features)
        return logits

    def get_classifier(self) -> nn.Module:
        """Return the classifier."""
        return self.classifier


class Backbone(NamedTuple):
    """What a record states of a backbone that is not there."""

    macs: int
    """Multiply-adds per image"""
    parameters: int
    width: int
    """Features of an image"""


def classifier_alone(model: Model, info: DatasetInfo, seed: int) -> nn.Module:
    """Return the classifier of a model with the initial weights of a seed, on the CPU."""
    return copy.deepcopy(_built(model, info.channels, info.size, len(info.classes), seed))


# Building a network takes a second, and a stack of classifiers asks for that of its seed again and again.
@lru_cache(maxsize=64)
def _built(model: Model, channels: int, size: int, classes: int, seed: int) -> nn.Module:
    network = build_for(model, channels, size, classes, seed, torch.device("cpu"))
    classifier: nn.Module = network.get_classifier()  # type: ignore[operator]
    return classifier


@lru_cache(maxsize=8)
def backbone_of(model: Model, channels: int, size: int, classes: int) -> Backbone:
    """Return the cost of a model's backbone on images [channels, size, size]."""
    network = build_for(model, channels, size, classes, 0, torch.device("cpu"))
    classifier: nn.Module = network.get_classifier()  # type: ignore[operator]
    macs = measure_for(model, network, (channels, size, size), classes)
    width = getattr(classifier, "in_features", None)
    if not isinstance(width, int):
        raise JobFailed(
            f"the classifier of model '{model.label}' is {type(classifier).__name__}, which does not say what it is given",
            fix="frozen=false, or a model whose classifier is a linear layer",
        )
    parameters = sum(p.numel() for p in network.parameters()) - sum(p.numel() for p in classifier.parameters())
    return Backbone(macs - width * classes, parameters, width)
