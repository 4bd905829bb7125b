"""The data of a training as tensors: a long-tailed subset of a data set, and its test images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import torch
from torch import Tensor

from ltbench.core.spec import Spec, label_of, stream_seed, techniques_in
from ltbench.engine.dataset_arrays import prepare
from ltbench.engine.output_checks import check_indices, leaving_no_state, naming_techniques
from ltbench.errors import DataError, JobFailed
from ltbench.jobs.held_out import check_own_split
from ltbench.longtail import (
    check_counts,
    check_imbalance_factor,
    class_counts,
    gini,
    held_out_positions,
    realised_imbalance,
    subset_indices,
)
from ltbench.stages import Dataset, DatasetInfo, Ensemble, Images, Profile

if TYPE_CHECKING:
    from ltbench.executor import Context, Techniques
    from ltbench.stages import IntArray


class Subset(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A training subset and the test images. Read-only: the tensors are cached and shared between trainings."""

    images: Tensor
    """uint8 [N, channels, size, size]; or their features, float [N, D], and the same for those below"""
    labels: Tensor
    """int64 [N]"""
    counts: Tensor
    """int64 [C], of this subset"""
    test_images: Tensor
    """uint8 [M, channels, size, size]"""
    test_labels: Tensor
    """int64 [M]"""
    held_out_images: Tensor
    """uint8 [H, channels, size, size], none of them among `images`; H is 0 if nothing is held out"""
    held_out_labels: Tensor
    """int64 [H]"""
    info: DatasetInfo
    """Of the whole data set; its counts are larger than the subset's."""

    def split(self, name: str) -> tuple[Tensor, Tensor]:
        """Return images and labels of a split: `test` or `held_out`."""
        return {
            "test": (self.test_images, self.test_labels), "held_out": (self.held_out_images, self.held_out_labels),
        }[name]  # fmt: skip

    def summary(self) -> dict[str, Any]:
        """Return the facts about the data that a record holds, as plain JSON values."""
        counts: list[int] = self.counts.tolist()
        return {
            "counts": counts,
            "imbalance_factor": realised_imbalance(counts),  # None if a class has no image, as in some bags
            "gini": gini(counts),
            "classes": list(self.info.classes),
            "size": self.info.size,
            "channels": self.info.channels,
            **({"held_out": self.held_out_counts()} if len(self.held_out_labels) else {}),
            **({} if self.info.report is None else {"report": msgspec.to_builtins(self.info.report)}),
        }

    def held_out_counts(self) -> list[int]:
        """Return the held-out images of each class."""
        counts: list[int] = self.held_out_labels.bincount(minlength=len(self.counts)).tolist()
        return counts


def load(data_spec: Mapping[str, Any], registry: Techniques, data_root: Path) -> Subset:
    """Return the subset that a data spec describes (see `ltbench.core.spec`); the last few are cached.

    Raises `DataError` if the data set is missing, corrupt, too small, or not the one of the plan.
    """
    return _subset(*_parts(data_spec, registry, data_root))


def selection(data_spec: Mapping[str, Any], registry: Techniques, data_root: Path) -> tuple[Selection, DatasetInfo]:
    """Return which images `load` would read, and the description of the whole data set. Raises as `load` does."""
    parts = _parts(data_spec, registry, data_root)
    return _selection(*parts), parts[0].info(data_root)


def dataset_images(dataset: Dataset, fingerprint: str, data_root: Path) -> tuple[Images, DatasetInfo]:
    """Return all images of a data set, memory-mapped. fingerprint: of it, or of its validation split.

    Raises `DataError` if they are missing, corrupt, or not those of the fingerprint.
    """
    with leaving_no_state(dataset):
        info = dataset.info(data_root)
    if fingerprint not in (info.fingerprint, info.valid_fingerprint):
        raise _changed(dataset, info.fingerprint, fingerprint, data_root)
    with leaving_no_state(dataset):
        return _images(dataset, data_root), info


_Parts = tuple[Dataset, Profile, float, int, float | str, Path]


def _parts(data_spec: Mapping[str, Any], registry: Techniques, data_root: Path) -> _Parts:
    """Return what decides a subset: data set, profile, imbalance factor, seed, what is held out, and the data root."""
    dataset = registry.build_as(data_spec["dataset"], Dataset)
    profile = registry.build_as(data_spec["profile"], Profile)
    with leaving_no_state(dataset):
        fingerprint = dataset.info(data_root).fingerprint
    if fingerprint != data_spec["fingerprint"]:
        raise _changed(dataset, fingerprint, data_spec["fingerprint"], data_root)
    factor = check_imbalance_factor(data_spec["imbalance_factor"])
    return dataset, profile, factor, data_spec["subset_seed"], data_spec.get("held_out", 0.0), data_root


def _changed(dataset: Dataset, found: str, expected: str, data_root: Path) -> DataError:
    return DataError(
        f"data set '{dataset.label}' has changed since the plan was made",
        where=str(data_root),
        why=f"its fingerprint is {found}; expected {expected}",
        fix="plan again",
    )


def select_images(subset: Subset, indices: Tensor) -> Subset:
    """Return the subset restricted to the training images at `indices`, int64 [K], in that order, with repetitions."""
    labels = subset.labels[indices]
    return msgspec.structs.replace(
        subset, images=subset.images[indices], labels=labels, counts=labels.bincount(minlength=len(subset.counts))
    )


def bag_indices(fit: Spec, labels: Tensor, context: Context) -> Tensor | None:
    """Return the images of the bag that an ensemble draws from a subset, int64 [K]; None if the fit has no bag.

    fit: its spec; labels: int64 [N], of the subset. Raises `JobFailed` if the ensemble returns anything else.
    """
    if fit["bag"] is None:
        return None
    ensemble = context.registry.build_as(fit["bag"]["ensemble"], Ensemble)
    # The same stream for every bag, so that an ensemble can partition the subset into disjoint bags.
    rng = np.random.default_rng(stream_seed(fit["seed"], "members"))
    number = fit["bag"]["number"]
    with naming_techniques(), leaving_no_state(ensemble):
        indices = torch.as_tensor(ensemble.bag(number, labels.numpy(), rng))
    return check_indices(ensemble, f"bag {number}", indices, len(labels))


@contextmanager
def unmodified(subset: Subset, spec: Spec) -> Iterator[None]:
    """Raise `JobFailed` if the block modifies the subset in place; later trainings then read it again.

    Changes of the images through numpy, which shares their memory, are not noticed. spec: of the fit, for the message.
    """
    tensors = {name: value for name, value in msgspec.structs.asdict(subset).items() if isinstance(value, Tensor)}
    versions = {name: tensor._version for name, tensor in tensors.items()}  # noqa: SLF001 - torch counts changes
    copies = {name: tensors[name].clone() for name in ("labels", "counts")}
    modified: list[str] = []
    try:
        yield
    finally:
        modified += [name for name, tensor in tensors.items() if tensor._version != versions[name]]  # noqa: SLF001
        modified += [name for name, copy in copies.items() if name not in modified and not copy.equal(tensors[name])]
        if modified:
            forget()
    if modified:
        names = ", ".join(dict.fromkeys(map(label_of, techniques_in(spec))))
        raise JobFailed(
            f"one of the techniques of this fit ({names}) modified {' and '.join(modified)} in place",
            why="later trainings in this process use the same tensors",
            fix="work on a copy: methods that end with _ modify a tensor; ltbench check names the technique",
        )


CACHES: list[Callable[[], None]] = []
"""Functions that clear the caches of subsets."""


def forget() -> None:
    """Clear all caches of subsets, which share the memory of their labels."""
    for clear in CACHES:
        clear()


_images = lru_cache(maxsize=4)(prepare)


class Selection(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Which images of a data set a training subset has, and which are held out of it."""

    indices: IntArray
    """int64 [N], of training images of the data set"""
    labels: IntArray
    """int64 [N]"""
    held_out: IntArray
    """int64 [H], of its validation split if it holds that out, else of its training images"""
    held_out_labels: IntArray
    """int64 [H]"""


# Few, because a subset is a copy of up to a few hundred megabytes. The arrays of `_images` are memory-mapped.
@lru_cache(maxsize=4)
def _subset(
    dataset: Dataset, profile: Profile, imbalance_factor: float, seed: int, held_out: float | str, root: Path
) -> Subset:
    """held_out: as in a data spec."""
    chosen = _selection(dataset, profile, imbalance_factor, seed, held_out, root)
    info, images = dataset.info(root), _images(dataset, root)
    apart = images.valid_images if isinstance(held_out, str) else images.train_images
    return subset_of(
        chosen,
        info,
        images.train_images[chosen.indices],
        images.test_images,
        apart[chosen.held_out],
        images.test_labels,
    )


def subset_of(
    chosen: Selection, info: DatasetInfo, images: Any, test_images: Any, held_out_images: Any, test_labels: Any
) -> Subset:
    """Return a subset of these arrays, which may be those of features. test_labels: int64 [M]."""
    return Subset(
        images=torch.from_numpy(images),
        labels=torch.from_numpy(chosen.labels),
        counts=torch.from_numpy(class_counts(chosen.labels, len(info.classes))),
        test_images=torch.from_numpy(test_images),
        test_labels=torch.from_numpy(test_labels),
        held_out_images=torch.from_numpy(held_out_images),
        held_out_labels=torch.from_numpy(chosen.held_out_labels),
        info=info,
    )


@lru_cache(maxsize=16)
def _selection(
    dataset: Dataset, profile: Profile, imbalance_factor: float, seed: int, held_out: float | str, root: Path
) -> Selection:
    info = dataset.info(root)
    with leaving_no_state(profile):
        counts = profile.counts(info.train_counts, imbalance_factor)
    where = f"{dataset.label}, profile {profile.label}, imbalance factor {imbalance_factor:g}"
    check_counts(counts, info.train_counts, where, names=info.classes)
    with leaving_no_state(dataset):
        images = _images(dataset, root)
    indices = subset_indices(images.train_labels, counts, seed)
    if isinstance(held_out, str):
        check_own_split(held_out, info, dataset.label)
        apart, apart_labels = np.arange(len(images.valid_labels)), images.valid_labels
    else:
        positions = held_out_positions(counts, held_out, stream_seed(seed, "held_out"))
        apart, indices = indices[positions], np.delete(indices, positions)
        apart_labels = images.train_labels[apart]
    return Selection(indices=indices, labels=images.train_labels[indices], held_out=apart, held_out_labels=apart_labels)


CACHES += [_images.cache_clear, _selection.cache_clear, _subset.cache_clear]
