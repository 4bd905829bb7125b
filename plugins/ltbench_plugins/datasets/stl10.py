"""STL-10."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ltbench import Dataset, Images, hookimpl
from ltbench_plugins.datasets._array_files import ArrayFiles

_SIDE = 96


class Stl10(ArrayFiles, frozen=True):
    """5,000 training and 8,000 test images of ten classes, 96 x 96 pixels, from ImageNet; a profile makes it long-tailed.

    Unlabelled images are not used.
    Source: Coates, Lee and Ng, "An Analysis of Single-Layer Networks in Unsupervised Feature Learning", AISTATS 2011.
    """

    name = "stl10"
    augment = "crop_flip[padding=12]"
    licence = "non-commercial research, as ImageNet states it"
    home = "http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz"

    def folder(self, root: Path) -> Path:
        return root / "stl10_binary"

    def files(self) -> Mapping[str, str]:
        return {
            "train_X.bin": "918c2871b30a85fa023e0c44e0bee87f",
            "train_y.bin": "5a34089d4802c674881badbb80307741",
            "test_X.bin": "7f263ba9f9e0b06b93213547f721ac82",
            "test_y.bin": "36f9794fa4beb8a2c72628de14fa638e",
        }

    def class_names(self) -> Sequence[str]:
        return ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")

    def read(self, folder: Path) -> Images:
        import numpy as np

        arrays: dict[str, np.ndarray] = {}
        for split in ("train", "test"):
            pixels = np.fromfile(folder / f"{split}_X.bin", np.uint8).reshape(-1, 3, _SIDE, _SIDE)
            arrays[f"{split}_images"] = np.ascontiguousarray(pixels.transpose(0, 1, 3, 2))  # stored column by column
            arrays[f"{split}_labels"] = np.fromfile(folder / f"{split}_y.bin", np.uint8).astype(np.int64) - 1
        return Images(**arrays)


@hookimpl
def ltbench_datasets() -> list[type[Dataset]]:
    return [Stl10]
