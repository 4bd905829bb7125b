"""A trained model in memory: classifies image files, images of Pillow and arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import msgspec
import numpy as np

from ltbench.core.folders import cores
from ltbench.errors import DataError, JobFailed, UsageError
from ltbench.image_files.decode import read_image, warnings_by_thread
from ltbench.image_files.names import plain
from ltbench.jobs.plugin_calls import merge_checked
from ltbench.jobs.posthoc import adjusted_branches, merged_branches
from ltbench.jobs.prediction_file import batch_size
from ltbench.registry.registry import Registry
from ltbench.stages import Branches, Ensemble, LinearClassifier, Posthoc, View
from ltbench.trained_model.adjustments import restored_state
from ltbench.trained_model.calibration import calibrated as at_temperature
from ltbench.trained_model.description import STATES, Description, content_of, read
from ltbench.trained_model.given_images import is_several, opened
from ltbench.trained_model.views import views_in

if TYPE_CHECKING:
    from PIL.Image import Image

    from ltbench.engine.model_graph import Adjust, ModelGraph
    from ltbench.engine.model_networks import RunningNetwork
    from ltbench.executor import Techniques
    from ltbench.jobs.prediction_file import StoredPrediction
    from ltbench.stages import FloatArray


_CHUNK = 64
"""Images that are read at a time, in threads."""


class Classified(msgspec.Struct, frozen=True, kw_only=True):
    """The classes of N images."""

    labels: list[str]
    """The class with the highest probability of each image."""
    probabilities: Any
    """float64 [N, C]"""
    classes: tuple[str, ...]

    def top(self, count: int) -> list[list[tuple[str, float]]]:
        """Return the `count` most probable classes of each image, with their probabilities; ties in class order."""
        orders = np.argsort(-self.probabilities, axis=1, kind="stable")[:, :count]
        return [
            [(self.classes[place], float(row[place])) for place in order]
            for row, order in zip(self.probabilities, orders, strict=True)
        ]


class TrainedModel:
    """A model that `ltbench export-model` has written.

    A call classifies images: `model(["a.jpg", "b.png"])`.
    """

    def __init__(
        self, description: Description, registry: Techniques, networks: Sequence[RunningNetwork], arrays: Mapping[str, Any]
    ) -> None:  # fmt: skip
        """networks: of the members; arrays: what posthoc.safetensors has."""
        self.description, self._registry, self._networks = description, registry, networks
        spec = description
        self._view = registry.build_as(spec.view, View)
        self._ensemble = registry.build_as(spec.ensemble, Ensemble)
        self._posthoc = None if spec.posthoc is None else registry.build_as(spec.posthoc, Posthoc)
        self._states = [restored_state(member.states, dict(arrays)) for member in spec.members]
        self._classifiers = [
            [_classifier(arrays, number, branch) for branch in range(len(member.adjustments[0]))]
            for number, member in enumerate(spec.members)
        ]

    @classmethod
    def load(cls, folder: Path, registry: Techniques | None = None, device: str = "cpu") -> TrainedModel:
        """Read a model. Nothing is unpickled. device: where its networks run, by torch's name.

        Raises `DataError` if the folder is no model or is damaged, `PluginError` if a technique that builds a network or
        merges predictions is not installed in the revision that the model was trained with.
        """
        import torch

        from ltbench.engine.model_networks import RunningNetwork, network_from

        description = read(folder)
        techniques = Registry.load() if registry is None else registry
        views = views_in(description.view, description.views, techniques)
        networks = []
        for member in description.members:
            content = content_of(folder, member.weights)
            network = network_from(
                content, str(folder / member.weights), member.prefix, member.spec, member.counts, techniques, description.info
            )  # fmt: skip
            networks.append(
                RunningNetwork(network, views, member.mean, member.deviation, member.spec, torch.device(device))
            )
        return cls(description, techniques, networks, _arrays(folder) if description.posthoc else {})

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in the order of probabilities."""
        return self.description.classes

    @property
    def can_calibrate(self) -> bool:
        """Whether probabilities can be calibrated: images were held out to fit a temperature."""
        return self.description.temperature is not None

    def __call__(
        self, images: Iterable[str | Path | Image | Any] | str | Path | Image, *, calibrated: bool = False
    ) -> Classified:
        """Classify images: paths, images of Pillow, or arrays uint8 [H, W], [H, W, 3] or [H, W, 4]; one or several.

        calibrated: divide by the temperature that was fitted to held-out images. Raises `DataError` that names an image
        which cannot be read, or says what is accepted, `UsageError` if the model has no temperature.
        """
        several = cast("Iterable[Any]", images if is_several(images) else [images])
        if calibrated:
            self.check_calibration()
        parts = [self.probabilities(batch, calibrated=calibrated) for batch in batches(self._pixels(several))]
        found = np.concatenate(parts) if parts else np.zeros((0, len(self.classes)))
        return self.classified(found)

    def classified(self, probabilities: FloatArray) -> Classified:
        """Return the classes of images by their probabilities, float [N, C]."""
        labels = [self.classes[place] for place in probabilities.argmax(1)]
        return Classified(labels=labels, probabilities=probabilities, classes=self.classes)

    def check_calibration(self) -> None:
        """Raise `UsageError` if the model has no temperature."""
        if not self.can_calibrate:
            raise UsageError(
                "this model cannot be calibrated",
                why="its cell held no images out, to which a temperature could be fitted",
                fix="ltbench run --held-out 0.1 ..., and export a cell of that run",
            )

    def read(self, source: str | Path | Image | Any) -> Any:
        """Return an image as the networks get it, uint8 [channels, size, size], by the rules of the model's data set.

        Raises `DataError`, naming file and reason.
        """
        (found,) = self.read_each([source])
        if isinstance(found, DataError):
            raise found
        return found

    def read_each(self, sources: Iterable[str | Path | Image | Any]) -> Iterator[Any]:
        """Yield each image as `read` returns it, or the `DataError` of one that cannot be read; a few are read at a time."""
        left = iter(sources)
        with ThreadPoolExecutor(cores()) as pool:
            while chunk := list(islice(left, _CHUNK)):
                with warnings_by_thread():
                    found = list(pool.map(self._read, chunk))
                yield from found

    def _read(self, source: Any) -> Any:
        try:
            image = opened(source)
        except DataError as error:
            return error
        pixels, found = read_image(image, self.description.reading)
        if pixels is not None:
            return pixels
        name = plain(str(source)) if isinstance(source, str | Path) else f"an image ({type(source).__name__})"
        return DataError(f"{name} cannot be read as an image", why=found.problem, fix=found.fix)

    def _pixels(self, images: Iterable[Any]) -> Iterator[Any]:
        for found in self.read_each(images):
            if isinstance(found, DataError):
                raise found
            yield found

    def probabilities(self, images: Any, *, calibrated: bool = False) -> FloatArray:
        """Return the probabilities of images as `read` returns them, uint8 [N, channels, size, size]: float64 [N, C].

        All images are one batch.
        """
        merged = self.merged([self.networks_predict(number, images) for number in range(len(self._networks))])
        temperature = self.description.temperature
        return at_temperature(merged, temperature) if calibrated and temperature is not None else merged

    def networks_predict(self, number: int, images: Any) -> list[StoredPrediction]:
        """Return what a member predicts of images under each view, before its posthoc."""
        features = self._posthoc is not None and "features" in self._posthoc.uses()
        return self._networks[number].predict(images, self._classifiers[number], features=features)

    def merged(self, predicted: Sequence[Sequence[StoredPrediction]]) -> FloatArray:
        """Return the probabilities, float64 [N, C], from the predictions of each member under each view."""
        registry, members = self._registry, []
        for number, of_views in enumerate(predicted):
            member = self.description.members[number]
            counts = np.asarray(member.counts, np.int64)
            adjusted = [
                np.stack(adjusted_branches(registry, self._posthoc, states, stored, counts, self.classes))
                for states, stored in zip(self._states[number], of_views, strict=True)
            ]
            weights = None if member.branch_weights is None else np.asarray(member.branch_weights)
            logits = merged_branches(registry, member.spec.get(Branches.stage), weights, np.stack(adjusted))
            members.append(merge_checked(registry, self._view, self._view.merge, logits))
        return merge_checked(registry, self._ensemble, self._ensemble.merge, np.stack(members))

    def graph(self) -> ModelGraph:
        """Return the whole model as one module of torch. Raises `JobFailed` where a part of it is only written for numpy."""
        from ltbench.engine.model_graph import MemberGraph, ModelGraph

        for rule, technique in (
            (self.description.view_rule, self._view), (self.description.ensemble_rule, self._ensemble)
        ):  # fmt: skip
            if not rule:
                raise JobFailed(f"{technique.stage} {technique.label} merges predictions by a rule of its own")
        members = []
        for number, (member, network) in enumerate(zip(self.description.members, self._networks, strict=True)):
            spec = member.spec.get(Branches.stage)
            adjust = [
                [self._adjust_in_torch(number, view, branch) for branch in range(len(of_view))]
                for view, of_view in enumerate(member.adjustments)
            ]
            merge = None if spec is None else self._registry.build_as(spec, Branches).merge
            features = not self.description.baked
            members.append(MemberGraph(network, adjust, merge, member.branch_weights, features=features))
        return ModelGraph(members, self.description.ensemble_rule)

    def _adjust_in_torch(self, number: int, view: int, branch: int) -> Adjust:
        from ltbench.engine.model_graph import scaled

        member = self.description.members[number]
        if (known := member.adjustments[view][branch]) is not None:
            return scaled(known.scale, known.shift)
        assert self._posthoc is not None, "it does something"
        counts = np.asarray(member.counts, np.int64)
        state, classifier = self._states[number][view][branch], self._classifiers[number][branch]
        found = self._posthoc.in_torch(state, counts, classifier, self.classes)
        if found is None:
            raise JobFailed(
                f"posthoc {self._posthoc.label} is no multiplication and addition, and not written for torch"
            )
        return found


def load_model(path: str | Path, device: str = "cpu") -> TrainedModel:
    """Return the model in a folder that `ltbench export-model` has written; `model(images)` classifies images.

    device: where its networks run, `cpu` or `cuda`; only on the processor are the logits those of the evaluation to the bit.
    Raises `DataError` if the folder is no model or is damaged, `PluginError` if a technique is not installed.
    """
    return TrainedModel.load(Path(path), device=device)


def batches(pixels: Iterable[Any]) -> Iterator[Any]:
    """Yield arrays uint8 [B, ...] of as many images as a prediction of a benchmark has in a batch."""
    collected: list[Any] = []
    for image in pixels:
        collected.append(image)
        if len(collected) == batch_size(image.shape):
            yield np.stack(collected)
            collected = []
    if collected:
        yield np.stack(collected)


def _classifier(arrays: Mapping[str, Any], number: int, branch: int) -> LinearClassifier | None:
    norms, bias, weights = map(
        partial(_part, arrays, f"{number}.classifier.{branch}"), ("norms", "bias", "weights")
    )  # fmt: skip
    return None if norms is None else LinearClassifier(norms, bias, weights)


def _part(arrays: Mapping[str, Any], place: str, name: str) -> Any:
    return arrays.get(f"{place}.{name}")


def _arrays(folder: Path) -> dict[str, Any]:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    if not (folder / STATES).exists():
        return {}
    try:
        arrays: dict[str, Any] = load(content_of(folder, STATES))
    except SafetensorError as error:
        raise DataError(f"{folder / STATES} cannot be read", why=f"it is no safetensors file: {error}") from error
    return arrays
