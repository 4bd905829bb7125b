"""CINIC-10."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, ClassVar

from ltbench import Dataset, Meta, hookimpl
from ltbench_plugins.datasets._official import Official, Rows, folder_rows

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


class Cinic10(Official, frozen=True):
    """The classes of CIFAR-10 with 9,000 images each for training, validation and testing, from CIFAR-10 and ImageNet.

    A profile makes it long-tailed. The validation split is held out if a suite asks for it. Files are read as by `imagenet_lt`.
    Source: Darlow et al., "CINIC-10 is not ImageNet or CIFAR-10", 2018.
    """

    name = "cinic10"
    augment = "crop_flip"
    licence = "MIT (the parts of ImageNet: non-commercial research)"
    home = "https://datashare.ed.ac.uk/handle/10283/3192"
    numbers: ClassVar = {"train": 90_000, "valid": 90_000, "test": 90_000}
    class_number = 10
    extremes = (9_000, 9_000)
    layout = "train/airplane/*.png, valid/airplane/*.png and test/airplane/*.png"

    path: Annotated[str, Meta(description="folder of the data set, absolute or relative to the data root")] = "CINIC-10"

    def rows(self, folder: Path) -> Iterator[tuple[str, Rows]]:
        for split in ("train", "test", "valid"):
            yield split, folder_rows(folder / split, CLASSES)

    def class_names(self, folder: Path, train: Rows) -> Sequence[str]:
        return CLASSES


@hookimpl
def ltbench_datasets() -> list[type[Dataset]]:
    return [Cinic10]
