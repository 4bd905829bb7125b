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

from ltbench.engine.determinism import autocast, reproducible
from ltbench.engine.feature_network import FeatureNetwork
from ltbench.engine.features import FEATURE_BATCH
from ltbench.engine.modules import input_of
from ltbench.engine.network import normaliser_of
from ltbench.engine.predict import infer, linear_classifier, prepared
from ltbench.engine.structure import classifier_of, classifiers_of
from ltbench.engine.trained_network import rebuilt
from ltbench.engine.views import ViewImages
from ltbench.errors import DataError
from ltbench.jobs.prediction_file import StoredPrediction
from ltbench.stages import DatasetInfo, LinearClassifier
from ltbench.suite.recipe import Recipe

if TYPE_CHECKING:
    from ltbench.core.spec import Spec
    from ltbench.executor import Techniques
    from ltbench.stages import FloatArray

CPU = torch.device("cpu")
"""Where models run by default, as only there every kernel gives the same bits each time."""


_FEW = 8
"""So many images are not filled up to a batch of features, which would take as long as a whole one; last bits differ."""


class RunningNetwork:
    """A network of a model, ready to predict."""

    def __init__(
        self, network: nn.Module, views: Sequence[ViewImages], mean: Sequence[float], deviation: Sequence[float],
        spec: Spec, device: torch.device = CPU,
    ) -> None:  # fmt: skip
        """spec: of the training."""
        self.network, self.views, self.device = network.to(device), views, device
        self.on_features = "features" in spec
        self.mean, self.deviation = mean, deviation
        self.precision = msgspec.convert(spec["recipe"], Recipe).resolved().precision
        normalise = normaliser_of(mean, deviation, device)
        self._prepare = [prepared(normalise, view) for view in views]

    def predict(
        self, images: Any, classifiers: Sequence[LinearClassifier | None], *, features: bool
    ) -> list[StoredPrediction]:
        """Return the predictions of images under each view, without labels.

        images: uint8 [N, channels, size, size], a numpy array; classifiers: of the branches.
        """
        with reproducible(self.device):
            pixels = self._pixels(images)
            results = [self._infer(prepare, pixels, features=features) for prepare in self._prepare]
        nothing = np.zeros(len(images), np.int64)
        return [
            StoredPrediction(_doubles(logits), nothing, _doubles(taken[0]) if taken else None, classifiers)
            for logits, *taken in results
        ]

    def _pixels(self, images: Any) -> Tensor:
        return torch.tensor(np.ascontiguousarray(images), device=self.device)

    def _infer(self, prepare: ViewImages, pixels: Tensor, *, features: bool) -> tuple[Tensor, ...]:
        if not self.on_features:
            return infer(self.network, prepare(pixels), self.precision, features=features)
        taken = torch.cat([self._features(prepare, part) for part in torch.split(pixels, FEATURE_BATCH)])
        return infer(FeatureNetwork(classifier_of(self.network)), taken, self.precision, features=features)

    @torch.inference_mode()
    def _features(self, prepare: ViewImages, pixels: Tensor) -> Tensor:
        """Return the features of at most a batch of images, float32 [N, D], as the training got them: from a whole batch."""
        few = len(pixels) <= _FEW
        filled = pixels if few else torch.cat([pixels, pixels[-1:].expand(FEATURE_BATCH - len(pixels), -1, -1, -1)])
        with autocast(self.precision, self.device), input_of(classifier_of(self.network)) as given:
            self.network(prepare(filled))
        return given[0][: len(pixels)].float()

    def classifiers(self, images: Any, *, weights: bool) -> list[LinearClassifier | None]:
        """Return what posthocs are told of the classifier of each branch. images: two or so, as for `predict`."""
        layers = classifiers_of(self.network)

        def logits() -> Tensor:
            pixels = self._prepare[0](self._pixels(images))
            return infer(self.network, pixels, self.precision, features=False)[0]

        with reproducible(self.device):
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
