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
from ltbench.engine.stored_images import AnyImages, StoredImages, all_images, centre_of, images_at
from ltbench.errors import DataError, JobFailed
from ltbench.jobs.described import described
from ltbench.jobs.held_out import check_own_split
from ltbench.longtail import (
    check_counts,
    check_imbalance_factor,
    class_counts,
    gini,
    held_out_positions,
    held_out_units,
    realised_imbalance,
    subset_indices,
)
from ltbench.stages import Dataset, DatasetInfo, Ensemble, Images, Profile

if TYPE_CHECKING:
    from ltbench.executor import Context, Techniques
    from ltbench.stages import IntArray


class Subset(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A training subset and the test images. Read-only: the tensors are cached and shared between trainings."""

    images: AnyImages
    """uint8 [N, channels, side, side], as they are stored; or their features, float [N, D], and the same for those below"""
    labels: Tensor
    """int64 [N]"""
    counts: Tensor
    """int64 [C], of this subset"""
    test_images: AnyImages
    """uint8 [M, channels, size, size]"""
    test_labels: Tensor
    """int64 [M]"""
    held_out_images: AnyImages
    """uint8 [H, channels, size, size], none of them among `images`; H is 0 if nothing is held out"""
    held_out_labels: Tensor
    """int64 [H]"""
    info: DatasetInfo
    """Of the whole data set; its counts are larger than the subset's."""

    def split(self, name: str) -> tuple[AnyImages, Tensor]:
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
    return _selection(*parts), described(parts[0], parts[1], data_root)


def dataset_images(dataset: Dataset, fingerprint: str, data_root: Path) -> tuple[Images, DatasetInfo]:
    """Return all images of a data set, memory-mapped. fingerprint: of it, or of its validation split.

    Raises `DataError` if they are missing, corrupt, or not those of the fingerprint.
    """
    with leaving_no_state(dataset):
        info = described(dataset, fingerprint, data_root)
        return _images(dataset, fingerprint, data_root), info


_Parts = tuple[Dataset, str, Profile, float, int, float | str, Path]


def _parts(data_spec: Mapping[str, Any], registry: Techniques, data_root: Path) -> _Parts:
    """Return what decides a subset.

    Data set, fingerprint, profile, imbalance factor, seed, what is held out, and the data root.
    """
    dataset = registry.build_as(data_spec["dataset"], Dataset)
    profile = registry.build_as(data_spec["profile"], Profile)
    fingerprint = data_spec["fingerprint"]
    with leaving_no_state(dataset):
        described(dataset, fingerprint, data_root)
    factor = check_imbalance_factor(data_spec["imbalance_factor"])
    return dataset, fingerprint, profile, factor, data_spec["subset_seed"], data_spec.get("held_out", 0.0), data_root


def select_images(subset: Subset, indices: Tensor) -> Subset:
    """Return the subset restricted to the training images at `indices`, int64 [K], in that order, with repetitions."""
    labels = subset.labels[indices]
    images = subset.images
    return msgspec.structs.replace(
        subset,
        images=images.selected(indices) if isinstance(images, StoredImages) else images[indices],
        labels=labels,
        counts=labels.bincount(minlength=len(subset.counts)),
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


@lru_cache(maxsize=4)
def _images(dataset: Dataset, fingerprint: str, root: Path) -> Images:
    return prepare(dataset, root, described(dataset, fingerprint, root))


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


# Few, because a subset may be a copy of a few hundred megabytes. The arrays of `_images` are on disk.
@lru_cache(maxsize=4)
def _subset(
    dataset: Dataset,
    fingerprint: str,
    profile: Profile,
    imbalance_factor: float,
    seed: int,
    held_out: float | str,
    root: Path,
) -> Subset:
    """held_out: as in a data spec."""
    chosen = _selection(dataset, fingerprint, profile, imbalance_factor, seed, held_out, root)
    info, images = described(dataset, fingerprint, root), _images(dataset, fingerprint, root)
    apart = images.valid_images if isinstance(held_out, str) else images.train_images
    return subset_of(
        chosen,
        info,
        images_at(images.train_images, chosen.indices),
        centre_of(all_images(images.test_images), info.size),
        centre_of(images_at(apart, chosen.held_out), info.size),
        images.test_labels,
    )


def subset_of(
    chosen: Selection,
    info: DatasetInfo,
    images: AnyImages,
    test_images: AnyImages,
    held_out_images: AnyImages,
    test_labels: Any,
) -> Subset:
    """Return a subset of these images, which may be features. test_labels: int64 [M]."""
    return Subset(
        images=images,
        labels=torch.from_numpy(chosen.labels),
        counts=torch.from_numpy(class_counts(chosen.labels, len(info.classes))),
        test_images=test_images,
        test_labels=torch.from_numpy(test_labels),
        held_out_images=held_out_images,
        held_out_labels=torch.from_numpy(chosen.held_out_labels),
        info=info,
    )


@lru_cache(maxsize=16)
def _selection(
    dataset: Dataset,
    fingerprint: str,
    profile: Profile,
    imbalance_factor: float,
    seed: int,
    held_out: float | str,
    root: Path,
) -> Selection:
    info = described(dataset, fingerprint, root)
    with leaving_no_state(profile):
        counts = profile.counts(info.train_counts, imbalance_factor)
    where = f"{dataset.label}, profile {profile.label}, imbalance factor {imbalance_factor:g}"
    check_counts(counts, info.train_counts, where, names=info.classes)
    with leaving_no_state(dataset):
        images = _images(dataset, fingerprint, root)
    indices = subset_indices(images.train_labels, counts, seed)
    if isinstance(held_out, str):
        check_own_split(held_out, info, dataset.label)
        apart, apart_labels = np.arange(len(images.valid_labels)), images.valid_labels
    else:
        stream = stream_seed(seed, "held_out")
        if images.train_units is None or not held_out:
            positions = held_out_positions(counts, held_out, stream)
        else:
            labels, units = (np.asarray(part)[indices] for part in (images.train_labels, images.train_units))
            positions = held_out_units(labels, units, held_out, stream)
            if not len(positions):
                raise DataError(
                    f"no image of {where} can be held out",
                    why="copies and images of a group stay together, and each class has only one of these",
                    fix="more images, or no held-out images",
                )
        apart, indices = indices[positions], np.delete(indices, positions)
        apart_labels = images.train_labels[apart]
    return Selection(indices=indices, labels=images.train_labels[indices], held_out=apart, held_out_labels=apart_labels)


CACHES += [described.cache_clear, _images.cache_clear, _selection.cache_clear, _subset.cache_clear]
