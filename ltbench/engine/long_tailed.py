"""Long-tailed subsets for training code of one's own: the images that every training of ltbench with this setting has."""

from __future__ import annotations

import io
import json
import numbers
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch.utils.data

from ltbench.core import atomic_files
from ltbench.core.checksums import digest
from ltbench.core.folders import data_root as default_root
from ltbench.core.one_look import one_look
from ltbench.engine.subset import dataset_images, selection
from ltbench.errors import UsageError
from ltbench.jobs.described import description
from ltbench.longtail import class_counts
from ltbench.registry.registry import Registry
from ltbench.stages import Dataset, Profile

if TYPE_CHECKING:
    from ltbench.stages import IntArray

Split = Literal["train", "test"]


class LongTailed(torch.utils.data.Dataset[tuple[Any, int]]):
    """A long-tailed training subset of a data set, or its test images.

    `subset[i]` is an image of Pillow and its label, as torchvision's data sets have them, or what `transform` makes of the
    image. Images are read from memory-mapped arrays.
    """

    indices: IntArray
    """int64 [N], of images in the data set's own order"""
    targets: IntArray
    """int64 [N], their labels"""
    counts: IntArray
    """int64 [C]"""
    classes: tuple[str, ...]
    setting: dict[str, Any]
    """What it was made from, as plain values: data set, profile, imbalance factor, seed, fingerprint of the images."""

    def __init__(
        self, images: Any, indices: IntArray, targets: IntArray, classes: tuple[str, ...], setting: dict[str, Any],
        transform: Callable[[Any], Any] | None = None,
    ) -> None:  # fmt: skip
        """images: uint8 [M, channels, size, size], of the whole split; the others as the attributes."""
        self.indices, self.targets, self.classes = indices, targets, classes
        self.counts = class_counts(targets, len(classes))
        self.setting, self.transform = setting, transform
        self._images = images

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, place: int) -> tuple[Any, int]:
        from PIL import Image

        pixels = self._images[self.indices[place]]
        grey = len(pixels) == 1
        image = Image.fromarray(np.ascontiguousarray(pixels[0] if grey else np.moveaxis(pixels, 0, -1)))
        return (image if self.transform is None else self.transform(image)), int(self.targets[place])

    @property
    def fingerprint(self) -> str:
        """A digest of the indices and labels: equal for the same images in the same order."""
        return digest(self.indices.astype("<i8").tobytes() + self.targets.astype("<i8").tobytes(), 32)

    def arrays(self) -> tuple[Any, IntArray]:
        """Return a copy of the images, uint8 [N, channels, size, size], and the labels, int64 [N]."""
        return self._images[self.indices], self.targets.copy()

    def save(self, path: str | Path) -> None:
        """Write the indices, as `.npy`, or with labels, class names, counts and setting, as `.json`.

        Raises `UsageError` for another extension, `StoreError` if the file cannot be written.
        """
        path = Path(path)
        if path.suffix not in {".npy", ".json"}:
            raise UsageError(f"{path.name} is neither a .npy nor a .json file", fix="give it one of these extensions")
        content = io.BytesIO()
        if path.suffix == ".npy":
            np.save(content, self.indices)
        else:
            facts = self.setting | {
                "fingerprint": self.fingerprint, "classes": self.classes, "counts": self.counts.tolist(),
                "indices": self.indices.tolist(), "labels": self.targets.tolist(),
            }  # fmt: skip
            content.write(json.dumps(facts).encode())
        with atomic_files.os_errors_as_store_errors(
            f"{path.name} cannot be written", path.parent, elsewhere=atomic_files.OTHER_TARGET
        ):
            atomic_files.replace(path, content.getvalue())

    def __repr__(self) -> str:
        setting = ", ".join(f"{name}={value}" for name, value in self.setting.items())
        return f"LongTailed({len(self)} images of {len(self.classes)} classes: {setting})"


def long_tailed(
    dataset: str, *, profile: str = "exp", imbalance_factor: float = 100, seed: int = 0, split: Split = "train",
    transform: Callable[[Any], Any] | None = None, data_root: str | Path | None = None,
) -> LongTailed:  # fmt: skip
    """Return the long-tailed subset of a data set that every training of ltbench with this setting has.

    dataset, profile: names, with parameters in brackets, such as `cifar10` and `step[order=reverse]`; imbalance_factor: images of
    the largest class for each of the smallest; seed: of the draw of images; split: `test` are all test images; data_root:
    folder of data sets, by default as for the commands. Raises `UnknownName` for unknown names, `DataError` for a data set that
    is missing or has too few images.
    """
    for argument, name in (("dataset", dataset), ("profile", profile)):
        if not isinstance(name, str):
            raise UsageError(f"{argument} {name!r} is not a name", fix="such as 'cifar10' and 'exp'")
    if split not in ("train", "test"):
        raise UsageError(f"there is no split '{split}'", fix="train or test")
    if not isinstance(imbalance_factor, numbers.Real) or isinstance(imbalance_factor, bool):
        raise UsageError(f"imbalance factor {imbalance_factor!r} is not a number", fix="such as 100")
    if not isinstance(seed, numbers.Integral) or isinstance(seed, bool):
        raise UsageError(f"seed {seed!r} is not an integer", fix="such as 0")
    factor = float(imbalance_factor)  # of numpy, too, which json does not write
    registry, root = Registry.load(), default_root() if data_root is None else Path(data_root)
    source, tail = registry.parse(dataset, Dataset.stage), registry.parse(profile, Profile.stage)
    assert isinstance(source, Dataset)
    assert isinstance(tail, Profile)
    setting: dict[str, Any] = {"dataset": source.label, "split": split}
    with one_look():
        about = description(source, root)
        images, _ = dataset_images(source, about.fingerprint, root)
        if split == "test":
            labels = np.array(images.test_labels)
            return LongTailed(images.test_images, np.arange(len(labels)), labels, about.classes, setting, transform)
        data = {
            "dataset": registry.spec(source), "profile": registry.spec(tail), "fingerprint": about.fingerprint,
            "imbalance_factor": factor, "subset_seed": int(seed),
        }  # fmt: skip
        chosen, _ = selection(data, registry, root)
    whole = int(factor) if factor.is_integer() else factor
    setting |= {"profile": tail.label, "imbalance_factor": whole, "seed": int(seed)}
    # Copies, because trainings of this process get these arrays, too.
    indices, labels = chosen.indices.copy(), chosen.labels.copy()
    return LongTailed(images.train_images, indices, labels, about.classes, setting, transform)
