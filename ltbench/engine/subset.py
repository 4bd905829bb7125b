"""The images that a training sees: a long-tailed subset of a data set, and its test images, as tensors."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import torch
from torch import Tensor

from ltbench.engine.dataset_arrays import prepare
from ltbench.errors import DataError, JobFailed
from ltbench.longtail import (
    check_counts,
    check_imbalance_factor,
    class_counts,
    gini,
    realised_imbalance,
    subset_indices,
)
from ltbench.stages import Dataset, DatasetInfo, Images, Profile

if TYPE_CHECKING:
    from ltbench.executor import Techniques
    from ltbench.stages import IntArray


class Subset(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A training subset and the test images. Test tensors, and those of a cached subset, are not to be written to."""

    images: Tensor
    """uint8 [N, channels, size, size]"""
    labels: Tensor
    """int64 [N]"""
    counts: Tensor
    """int64 [C], of this very subset"""
    test_images: Tensor
    """uint8 [M, channels, size, size]"""
    test_labels: Tensor
    """int64 [M]"""
    info: DatasetInfo
    """Of the whole data set; its counts are not the subset's."""

    @property
    def imbalance_factor(self) -> float | None:
        """The realised imbalance factor; None where a class has no image, as in some bags."""
        return realised_imbalance(self.counts.tolist())

    def summary(self) -> dict[str, Any]:
        """Return what a record says of the data, as plain JSON values."""
        counts: list[int] = self.counts.tolist()
        return {
            "counts": counts,
            "imbalance_factor": self.imbalance_factor,
            "gini": gini(counts),
            "classes": list(self.info.classes),
            "size": self.info.size,
            "channels": self.info.channels,
        }


def load(data_spec: Mapping[str, Any], registry: Techniques, data_root: Path) -> Subset:
    """Return the subset that a data spec describes (see `ltbench.core.spec`), from memory where it was asked for lately.

    Raises `DataError` where the data set is missing, corrupt, not the one that was planned with, or too small.
    """
    dataset, profile = registry.build(data_spec["dataset"]), registry.build(data_spec["profile"])
    assert isinstance(dataset, Dataset)
    assert isinstance(profile, Profile)
    found = dataset.info(data_root).fingerprint
    if found != data_spec["fingerprint"]:
        raise DataError(
            f"data set '{dataset.label}' is not the one that was planned with",
            where=str(data_root),
            why=f"its fingerprint is {found}; expected {data_spec['fingerprint']}",
            fix="plan again",
        )
    factor = check_imbalance_factor(data_spec["imbalance_factor"])
    return _subset(dataset, profile, factor, data_spec["subset_seed"], data_root)


def narrow(subset: Subset, indices: IntArray | Tensor, where: str = "") -> Subset:
    """Return the subset with the training images at `indices` only, in their order; repeats are kept.

    indices: int64 [K] into the training subset, K >= 1; where: who made them, for the message. Raises `JobFailed`.
    """
    chosen = torch.as_tensor(indices)
    if chosen.dtype != torch.int64 or chosen.ndim != 1 or not len(chosen):
        raise JobFailed(
            f"indices of a training subset are {str(chosen.dtype).removeprefix('torch.')} {list(chosen.shape)}",
            where=where,
            why="expected int64 [K] with at least one index",
        )
    low, high = int(chosen.min()), int(chosen.max())
    if low < 0 or high >= len(subset.labels):
        raise JobFailed(
            f"indices of a training subset go from {low} to {high}", where=where, why=f"it has {len(subset.labels)}"
        )
    labels = subset.labels[chosen]
    return msgspec.structs.replace(
        subset, images=subset.images[chosen], labels=labels, counts=labels.bincount(minlength=len(subset.counts))
    )


# Subsets are copies of up to some hundred megabytes; the arrays that they are cut from are mapped and cost nothing.
@lru_cache(maxsize=4)
def _subset(dataset: Dataset, profile: Profile, imbalance_factor: float, seed: int, root: Path) -> Subset:
    info = dataset.info(root)
    counts = profile.counts(info.train_counts, imbalance_factor)
    where = f"{dataset.label}, profile {profile.label}, imbalance factor {imbalance_factor:g}"
    check_counts(counts, info.train_counts, where)
    images = _images(dataset, root)
    indices = subset_indices(images.train_labels, counts, seed)
    labels = images.train_labels[indices]
    return Subset(
        images=torch.from_numpy(images.train_images[indices]),
        labels=torch.from_numpy(labels),
        counts=torch.from_numpy(class_counts(labels, len(counts))),
        test_images=torch.from_numpy(images.test_images),
        test_labels=torch.from_numpy(images.test_labels),
        info=info,
    )


@lru_cache(maxsize=4)
def _images(dataset: Dataset, root: Path) -> Images:
    return prepare(dataset, root)
