"""Features of a data set: what the classifier of a frozen, pretrained backbone is given, for each image under one view.

    features.npy    float32 [n, D], of the images p, p + 8, ... of a split, where p is the part
    hashes.npy      uint8 [n, 16], digests of the images
    meta.json       spec, look, cost, environment, plugins

A row does not depend on the other images: batches have a fixed size, the last one is filled up. So rows of images that an
earlier job of the same look has seen (a digest of model, view, precision and normalisation) are copied: a data set that has
grown by 100 images costs 100 images.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import torch
from torch import Tensor, nn

from ltbench.core.spec import FEATURE_PARTS, Job, Spec, canonical, features_of_predict, features_specs, identity
from ltbench.engine import output_checks
from ltbench.engine.determinism import autocast, reproducible
from ltbench.engine.environment import environment
from ltbench.engine.modules import input_of
from ltbench.engine.network import build, normaliser
from ltbench.engine.stored_images import centre_of
from ltbench.engine.structure import classifier_of
from ltbench.engine.subset import CACHES, Subset, bag_indices, dataset_images, selection, subset_of
from ltbench.engine.views import view_of
from ltbench.errors import JobFailed, StoreError
from ltbench.stages import Dataset, DatasetInfo, Model
from ltbench.store import feature_index
from ltbench.store.format import write_json

if TYPE_CHECKING:
    from ltbench.executor import Context
    from ltbench.stages import FloatArray, IntArray
    from ltbench.store.store import Store

FEATURE_BATCH = 64
"""Images per batch, always: the bits of a row may depend on the size of its batch."""
_FEATURES, _HASHES = "features.npy", "hashes.npy"


def compute_features(job: Job, context: Context) -> None:
    """Store the features of a part of a split, unless the store has them.

    Raises `JobFailed` if the network has no features, or one of them is not finite.
    """
    if context.store.has(job.key):
        return
    began = time.perf_counter()
    device, spec = torch.device(context.device), job.spec
    images, info = _part(spec, context)
    model = context.registry.build_as(spec["model"], Model)
    with output_checks.naming_techniques(), reproducible(device):
        view, view_images = view_of(spec["view"], context.registry)
        plugins = [context.registry.provenance(technique) for technique in (model, view) if technique is not None]
        look = _look(spec, model, info)
        hashes = [hashlib.blake2b(centre_of(image, info.size).tobytes(), digest_size=16).digest() for image in images]
        known = _known_rows(look, set(hashes), plugins, context.store)
        missing = [number for number, digest in enumerate(hashes) if digest not in known]
        rows = [known.get(digest) for digest in hashes]
        if missing:
            network = build(model, info, 0, device).eval()
            normalise = normaliser(model, info, device)

            def prepare(batch: IntArray) -> Tensor:
                pixels = torch.from_numpy(centre_of(batch, info.size)).to(device).float().mul_(1 / 255)
                return view_images(normalise(pixels)).contiguous(memory_format=torch.channels_last)

            batches = (prepare(batch) for batch in _filled_batches(images, missing))
            found = _rows(network, batches, spec["precision"], device, model)
            for number, row in zip(missing, found, strict=False):
                rows[number] = row
    table = np.stack([row for row in rows if row is not None]) if rows else np.empty((0, 0), np.float32)
    if not np.isfinite(table).all():
        raise JobFailed("features are not finite", where=f"model '{model.label}'")
    with context.store.writing(job.key) as folder:
        np.save(folder / _FEATURES, table)
        np.save(folder / _HASHES, np.frombuffer(b"".join(hashes), np.uint8).reshape(-1, 16))
        meta = {
            "spec": spec,
            "look": look,
            "cost": {"feature_seconds": time.perf_counter() - began, "images": len(missing), "copied": len(rows) - len(missing)},
            "environment": environment(device),
            "plugins": plugins,
        }  # fmt: skip
        write_json(folder / "meta.json", meta)
    feature_index.add(look, job.key, context.store)


def _part(spec: Spec, context: Context) -> tuple[Any, DatasetInfo]:
    """Return the images of a part, uint8 [n, channels, size, size], and the description of the data set."""
    dataset = context.registry.build_as(spec["data"]["dataset"], Dataset)
    images, info = dataset_images(dataset, spec["data"]["fingerprint"], context.data_root)
    return getattr(images, f"{spec['split']}_images")[spec["part"] :: FEATURE_PARTS], info


def _look(spec: Spec, model: Model, info: DatasetInfo) -> str:
    """Return a digest of what the features of an image depend on besides the image."""
    statistics = model.mean_std(info.channels) or (info.mean, info.std)
    return identity({
        "protocol": spec["protocol"], "model": spec["model"], "precision": spec["precision"], "view": spec["view"],
        "shape": [info.channels, info.size], "statistics": [list(values) for values in statistics],
    })  # fmt: skip


def _known_rows(
    look: str, wanted: set[bytes], plugins: Sequence[Mapping[str, Any]], store: Store
) -> dict[bytes, FloatArray]:
    """Return rows that earlier jobs of the same look have computed, by the digest of their image."""
    found: dict[bytes, FloatArray] = {}
    for key in feature_index.keys(look, store):
        if not wanted - found.keys():
            break
        try:
            if not store.has(key) or canonical(store.meta(key)["plugins"]) != canonical(plugins):
                continue
            folder = store.checked(key)
        except StoreError:
            continue  # damaged, and quarantined now: its images are computed again
        table = np.load(folder / _FEATURES, mmap_mode="r")
        for number, digest in enumerate(map(bytes, np.load(folder / _HASHES))):
            if digest in wanted and digest not in found:
                found[digest] = np.array(table[number])
    return found


def _filled_batches(images: Any, numbers: Sequence[int]) -> Iterator[Any]:
    """Yield the images with these numbers in batches of a fixed size; the last one is filled up with its last image."""
    for start in range(0, len(numbers), FEATURE_BATCH):
        chosen = list(numbers[start : start + FEATURE_BATCH])
        yield images[chosen + chosen[-1:] * (FEATURE_BATCH - len(chosen))]


@torch.inference_mode()
def _rows(
    network: nn.Module, batches: Iterator[Tensor], precision: str, device: torch.device, model: Model
) -> Iterator[FloatArray]:
    """Yield the features of the images of all batches, float32 [D] each."""
    head = classifier_of(network)
    for number, batch in enumerate(batches):
        with autocast(precision, device), input_of(head) as given:
            logits = network(batch)
        if len(given) != 1 or given[0].dim() != 2 or len(given[0]) != len(batch):
            raise _no_features(model, "its classifier is not given one row of numbers per image")
        if number == 0:
            with autocast(precision, device):
                same = torch.equal(head(given[0]), logits) and torch.equal(network(batch), logits)
            if not same:
                raise _no_features(model, "its logits are not those of its classifier, or change from call to call")
        yield from given[0].float().cpu().numpy()


def _no_features(model: Model, why: str) -> JobFailed:
    return JobFailed(
        f"the network of model '{model.label}' has no features: {why}", fix="frozen=false, or another model"
    )


class _Rows:
    """The rows of a split, memory-mapped part by part."""

    def __init__(self, keys: Sequence[str], store: Store) -> None:
        """Raise `StoreError` if a part is missing or damaged."""
        self._parts = [np.load(store.checked(key) / _FEATURES, mmap_mode="r") for key in keys]

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def take(self, indices: IntArray) -> FloatArray:
        """Return the rows of images, float32 [N, D]. indices: int64 [N], of the images of the split."""
        width = max(part.shape[1] for part in self._parts)
        rows = np.empty((len(indices), width), np.float32)
        for number, part in enumerate(self._parts):
            here = np.flatnonzero(indices % FEATURE_PARTS == number)
            if len(here):
                rows[here] = part[indices[here] // FEATURE_PARTS]
        return rows


def feature_subset(spec: Spec, context: Context) -> Subset:
    """Return the training subset of a fit with features in place of its images, without those of test and held-out images."""
    return _feature_subset(canonical(spec["data"]), _keys(features_specs(spec, "train")), context)


# Few, because each has up to hundreds of megabytes; stacks of one subset follow each other.
@lru_cache(maxsize=2)
def _feature_subset(data: bytes, keys: tuple[str, ...], context: Context) -> Subset:
    chosen, info = selection(msgspec.json.decode(data), context.registry, context.data_root)
    rows = torch.from_numpy(_Rows(keys, context.store).take(chosen.indices))
    return subset_of(chosen, info, rows, rows[:0], rows[:0], np.empty(0, np.int64))


def features_to_predict(fit: Spec, predict: Spec, context: Context) -> tuple[Tensor, Tensor, DatasetInfo]:
    """Return features float [N, D] and labels int64 [N] of the images of a prediction, and the description of the data.

    fit, predict: their specs.
    """
    chosen, info = selection(fit["data"], context.registry, context.data_root)
    match predict["split"]:
        case "train":
            indices, labels = chosen.indices, chosen.labels
            if (bag := bag_indices(fit, torch.from_numpy(labels), context)) is not None:
                indices, labels = indices[bag.numpy()], labels[bag.numpy()]
        case "held_out":
            indices, labels = chosen.held_out, chosen.held_out_labels
        case _:
            dataset = context.registry.build_as(fit["data"]["dataset"], Dataset)
            images, _ = dataset_images(dataset, fit["data"]["fingerprint"], context.data_root)
            indices, labels = np.arange(len(images.test_labels)), images.test_labels
    rows = _open(_keys(features_of_predict(fit, predict)), context)
    return torch.from_numpy(rows.take(indices)), torch.from_numpy(labels), info


@lru_cache(maxsize=8)
def _open(keys: tuple[str, ...], context: Context) -> _Rows:
    return _Rows(keys, context.store)


def _keys(specs: Sequence[Spec]) -> tuple[str, ...]:
    return tuple(map(identity, specs))


CACHES.append(_feature_subset.cache_clear)
