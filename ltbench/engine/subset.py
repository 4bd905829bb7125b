"""The data of a training as tensors: a long-tailed subset of a data set, and its test images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
from ltbench.engine.output_checks import leaving_no_state
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
from ltbench.stages import Dataset, DatasetInfo, Profile

if TYPE_CHECKING:
    from ltbench.executor import Techniques


class Subset(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A training subset and the test images. Read-only: the tensors are cached and shared between trainings."""

    images: Tensor
    """uint8 [N, channels, size, size]"""
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
    dataset = registry.build_as(data_spec["dataset"], Dataset)
    profile = registry.build_as(data_spec["profile"], Profile)
    with leaving_no_state(dataset):
        fingerprint = dataset.info(data_root).fingerprint
    if fingerprint != data_spec["fingerprint"]:
        raise DataError(
            f"data set '{dataset.label}' has changed since the plan was made",
            where=str(data_root),
            why=f"its fingerprint is {fingerprint}; expected {data_spec['fingerprint']}",
            fix="plan again",
        )
    factor = check_imbalance_factor(data_spec["imbalance_factor"])
    return _subset(dataset, profile, factor, data_spec["subset_seed"], data_spec.get("held_out", 0.0), data_root)


def select_images(subset: Subset, indices: Tensor) -> Subset:
    """Return the subset restricted to the training images at `indices`, int64 [K], in that order, with repetitions."""
    labels = subset.labels[indices]
    return msgspec.structs.replace(
        subset, images=subset.images[indices], labels=labels, counts=labels.bincount(minlength=len(subset.counts))
    )


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
            _subset.cache_clear()
            _images.cache_clear()
    if modified:
        names = ", ".join(dict.fromkeys(map(label_of, techniques_in(spec))))
        raise JobFailed(
            f"one of the techniques of this fit ({names}) modified {' and '.join(modified)} in place",
            why="later trainings in this process use the same tensors",
            fix="work on a copy: methods that end with _ modify a tensor; ltbench check names the technique",
        )


_images = lru_cache(maxsize=4)(prepare)


# Few, because a subset is a copy of up to a few hundred megabytes. The arrays of `_images` are memory-mapped.
@lru_cache(maxsize=4)
def _subset(
    dataset: Dataset, profile: Profile, imbalance_factor: float, seed: int, held_out: float | str, root: Path
) -> Subset:
    """held_out: as in a data spec."""
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
        held_out_images, held_out_labels = images.valid_images, images.valid_labels
    else:
        positions = held_out_positions(counts, held_out, stream_seed(seed, "held_out"))
        apart, indices = indices[positions], np.delete(indices, positions)
        held_out_images, held_out_labels = images.train_images[apart], images.train_labels[apart]
    labels = images.train_labels[indices]
    return Subset(
        images=torch.from_numpy(images.train_images[indices]),
        labels=torch.from_numpy(labels),
        counts=torch.from_numpy(class_counts(labels, len(counts))),
        test_images=torch.from_numpy(images.test_images),
        test_labels=torch.from_numpy(images.test_labels),
        held_out_images=torch.from_numpy(held_out_images),
        held_out_labels=torch.from_numpy(held_out_labels),
        info=info,
    )
