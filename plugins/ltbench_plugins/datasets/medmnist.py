"""MedMNIST."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

from ltbench import Dataset, DatasetInfo, Images, Meta, hookimpl
from ltbench_plugins.datasets._array_files import ArrayFiles
from ltbench_plugins.datasets._medmnist_sets import SETS


class Medmnist(ArrayFiles, frozen=True):
    """Medical images of 28 to 224 pixels in eleven sets: tissue, skin, eye, blood, organs, X-ray and ultrasound.

    The published splits are used: the validation split is held out if a suite asks for it. Sets are imbalanced; on a command line all
    images are kept (profile `natural`) unless another profile or an imbalance factor is given. Sets of three-dimensional images and
    of several labels are left out.
    Source: Yang et al., "MedMNIST v2: A Large-Scale Lightweight Benchmark for 2D and 3D Biomedical Image Classification",
    Scientific Data 2023.
    """

    name = "medmnist"
    augment = "flip"
    profile = "natural"
    home = "https://zenodo.org/records/10519652"

    subset: Annotated[
        Literal[
            "pathmnist", "dermamnist", "octmnist", "pneumoniamnist", "retinamnist", "breastmnist", "bloodmnist", "tissuemnist",
            "organamnist", "organcmnist", "organsmnist",
        ],
        Meta(description="which of the sets"),
    ] = "dermamnist"  # fmt: skip
    size: Annotated[Literal[28, 64, 128, 224], Meta(description="side of the images in pixels")] = 28

    def files(self) -> Mapping[str, str]:
        suffix = "" if self.size == 28 else f"_{self.size}"
        return {f"{self.subset}{suffix}.npz": SETS[self.subset].md5[self.size]}

    def url(self, file: str) -> str:
        return f"{self.home}/files/{file}?download=1"

    def class_names(self) -> Sequence[str]:
        return SETS[self.subset].classes

    def info(self, root: Path) -> DatasetInfo:
        import msgspec

        return msgspec.structs.replace(super().info(root), licence=SETS[self.subset].licence)

    def read(self, folder: Path) -> Images:
        import numpy as np

        arrays = {}
        (file,) = self.files()
        with np.load(folder / file) as content:
            for split, name in (("train", "train"), ("test", "test"), ("valid", "val")):
                pixels = content[f"{name}_images"]
                by_channel = pixels[:, None] if pixels.ndim == 3 else pixels.transpose(0, 3, 1, 2)
                arrays[f"{split}_images"] = np.ascontiguousarray(by_channel)
                arrays[f"{split}_labels"] = content[f"{name}_labels"].ravel().astype(np.int64)
        return Images(**arrays)


@hookimpl
def ltbench_datasets() -> list[type[Dataset]]:
    return [Medmnist]
