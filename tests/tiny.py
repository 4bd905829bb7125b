"""A data set for tests, small enough to count by hand, without torch."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np

from ltbench import Dataset, DatasetInfo, Images

CLASSES, TRAIN, TEST, SIZE = 3, 40, 5, 4


class Tiny(Dataset, frozen=True):
    """Forty training images in each of three classes; every pixel of an image holds the image's index."""

    name = "tiny"
    loads: ClassVar[list[Path]] = []
    fingerprint: ClassVar[str] = "f00d"
    change: ClassVar[dict[str, np.ndarray]] = {}

    def info(self, root: Path) -> DatasetInfo:
        return DatasetInfo(
            classes=("a", "b", "c"), train_counts=(TRAIN,) * CLASSES, test_counts=(TEST,) * CLASSES, channels=1,
            size=SIZE, mean=(0.5,), std=(0.25,), fingerprint=self.fingerprint,
        )  # fmt: skip

    def locate(self, root: Path) -> str:
        return "here"

    def load(self, root: Path) -> Images:
        self.loads.append(root)
        arrays = {}
        for split, per_class in (("train", TRAIN), ("test", TEST)):
            number = np.arange(CLASSES * per_class)
            pixels = np.broadcast_to(number[:, None, None, None], (len(number), 1, SIZE, SIZE))
            arrays[f"{split}_images"] = pixels.astype(np.uint8)
            arrays[f"{split}_labels"] = number % CLASSES
        # Read-only, like arrays from a buffer: the engine has to return writable ones all the same.
        for array in arrays.values():
            array.flags.writeable = False
        return Images(**(arrays | self.change))
