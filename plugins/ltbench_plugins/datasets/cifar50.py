"""CIFAR-100 reduced to 50 classes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from ltbench import Dataset, DatasetInfo, Images, Meta, hookimpl
from ltbench_plugins.datasets.cifar100 import Cifar100

# Mean and population standard deviation of the 25,000 training images / 255, and the digest of the content; the tests
# recompute them from the real files.
CONTENT = {
    "even": ((0.517688, 0.486801, 0.435620), (0.265605, 0.257390, 0.277462), "4619117627dcd2262b0efbefbfb0f0b5"),
    "first": ((0.520893, 0.495677, 0.450540), (0.267915, 0.261302, 0.278197), "f4a85065bf6619e45358a482fce195fc"),
}


class Cifar50(Dataset, frozen=True):
    """25,000 training and 5,000 test photographs of 50 classes, 32 x 32 pixels in colour: half of CIFAR-100.

    Reports wong and jiang train on "CIFAR-50" and do not list its classes. The author of report wong halves the fine
    label, so the classes are the even fine labels of CIFAR-100, renumbered 0 to 49; `first` takes labels 0 to 49.
    Images are in the order of CIFAR-100, and the classes go from head to tail in label order.
    Source: reports wong and jiang; Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.
    """

    name = "cifar50"
    augment = "crop_flip"

    classes: Annotated[
        Literal["even", "first"], Meta(description="which fine labels of CIFAR-100: 0, 2, ..., 98 or 0, 1, ..., 49")
    ] = "even"

    def info(self, root: Path) -> DatasetInfo:
        whole = Cifar100.about
        mean, std, fingerprint = CONTENT[self.classes]
        return DatasetInfo(
            classes=tuple(whole.classes[label] for label in self._labels),
            train_counts=tuple(whole.train_counts[label] for label in self._labels),
            test_counts=tuple(whole.test_counts[label] for label in self._labels),
            channels=whole.channels,
            size=whole.size,
            mean=mean,
            std=std,
            fingerprint=fingerprint,
            licence=whole.licence,
            source=whole.source,
        )

    def locate(self, root: Path) -> str:
        return Cifar100().locate(root)

    def load(self, root: Path) -> Images:
        import numpy as np

        whole = Cifar100().load(root)
        number = np.full(len(Cifar100.about.classes), -1, np.int64)
        number[list(self._labels)] = np.arange(len(self._labels))
        train, test = number[whole.train_labels], number[whole.test_labels]
        return Images(
            train_images=whole.train_images[train >= 0],
            train_labels=train[train >= 0],
            test_images=whole.test_images[test >= 0],
            test_labels=test[test >= 0],
        )

    @property
    def _labels(self) -> range:
        return range(0, 100, 2) if self.classes == "even" else range(50)


@hookimpl
def ltbench_datasets() -> list[type[Dataset]]:
    return [Cifar50]
