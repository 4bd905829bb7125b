"""The networks of a trained model: read from its folder, and run as predictions of a benchmark run them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

from ltbench.engine.determinism import reproducible
from ltbench.engine.network import normaliser_of
from ltbench.engine.predict import ViewImages, infer, linear_classifier, normalised
from ltbench.engine.structure import classifiers_of
from ltbench.engine.trained_network import rebuilt
from ltbench.errors import DataError
from ltbench.jobs.prediction_file import StoredPrediction
from ltbench.stages import DatasetInfo, LinearClassifier
from ltbench.suite.recipe import Recipe

if TYPE_CHECKING:
    from ltbench.core.spec import Spec
    from ltbench.executor import Techniques
    from ltbench.stages import FloatArray

CPU = torch.device("cpu")
"""Where models run, as only there every kernel gives the same bits each time."""


class RunningNetwork:
    """A network of a model, ready to predict."""

    def __init__(
        self, network: nn.Module, views: Sequence[ViewImages], mean: Sequence[float], deviation: Sequence[float],
        recipe: Spec,
    ) -> None:  # fmt: skip
        self.network, self.views = network, views
        self.mean, self.deviation = mean, deviation
        self.precision = msgspec.convert(recipe, Recipe).resolved().precision
        self._normalise = normaliser_of(mean, deviation, CPU)

    def predict(
        self, images: Any, classifiers: Sequence[LinearClassifier | None], *, features: bool
    ) -> list[StoredPrediction]:
        """Return the predictions of images under each view, without labels.

        images: uint8 [N, channels, size, size], a numpy array; classifiers: of the branches.
        """
        with reproducible(CPU):
            pixels = normalised(torch.tensor(np.ascontiguousarray(images)), self._normalise, CPU)
            results = [infer(self.network, view(pixels), self.precision, features=features) for view in self.views]
        nothing = np.zeros(len(images), np.int64)
        return [
            StoredPrediction(_doubles(logits), nothing, _doubles(taken[0]) if taken else None, classifiers)
            for logits, *taken in results
        ]

    def classifiers(self, images: Any, *, weights: bool) -> list[LinearClassifier | None]:
        """Return what posthocs are told of the classifier of each branch. images: two or so, as for `predict`."""
        layers = classifiers_of(self.network)

        def logits() -> Tensor:
            pixels = normalised(torch.tensor(np.ascontiguousarray(images)), self._normalise, CPU)
            return infer(self.network, self.views[0](pixels), self.precision, features=False)[0]

        with reproducible(CPU):
            parts = linear_classifier(layers, logits, weights=weights)
        if not parts:
            return [None] * len(layers)
        norms, bias = (
            parts[f"classifier.{name}"].double().numpy().reshape(len(layers), -1) for name in ("norms", "bias")
        )
        rows: Sequence[FloatArray | None] = [None] * len(layers)
        if weights:
            rows = list(parts["classifier.weights"].double().numpy().reshape(*norms.shape, -1))
        return [LinearClassifier(*each) for each in zip(norms, bias, rows, strict=True)]


def network_from(
    content: bytes, where: str, prefix: str, spec: Spec, counts: Sequence[int], registry: Techniques, info: DatasetInfo
) -> nn.Module:
    """Return the network of a training with the weights in a safetensors file.

    prefix: what the names in the file lack. Raises `DataError`, naming the file, if it cannot be read or has other weights.
    """
    try:
        weights = {f"{prefix}{name}": tensor for name, tensor in load(content).items()}
    except SafetensorError as error:
        raise DataError(f"{where} cannot be read", why=f"it is no safetensors file: {error}") from error
    try:
        return rebuilt(spec, counts, weights, registry, info, CPU)
    except RuntimeError as error:
        raise DataError(
            f"the weights in {where} are not those of the network", why=str(error).partition("\n")[0]
        ) from error


def _doubles(logits: Tensor) -> FloatArray:
    doubles: FloatArray = logits.numpy().astype(np.float64)
    return doubles
