"""Stripes drawn in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from ltbench import Dataset, DatasetInfo, Images, Meta, hookimpl

LTBENCH_API = 1  # version of the ltbench hooks that this module implements
CLASSES, TRAIN, TEST, SIZE = 4, 120, 40, 16


class MyDataset(Dataset, frozen=True):
    """Stripes at four angles, drawn in memory: 16 x 16 pixels, grey, with noise.

    The angle is the class; the phase of the stripes differs from image to image. No file is read.

    Source: FILL IN (authors, title, year; where the images come from).
    """

    name = "my_dataset"
    # No flips, which would change the class. Otherwise an augmentation, written as on a command line.
    augment = ""

    noise: Annotated[float, Meta(ge=0, le=1, description="amplitude of the noise relative to the stripes")] = 0.5

    def info(self, root: Path) -> DatasetInfo:
        return DatasetInfo(
            classes=("0 degrees", "45 degrees", "90 degrees", "135 degrees"),
            train_counts=(TRAIN,) * CLASSES,
            test_counts=(TEST,) * CLASSES,
            channels=1,
            size=SIZE,
            mean=(0.5,),
            # Variances add up: 1/2 of a sine wave, 1/3 of uniform noise between -1 and 1.
            std=(0.25 * (1 / 2 + self.noise**2 / 3) ** 0.5,),
            # Raise the number when the images change.
            fingerprint=f"my_dataset 1 noise {self.noise:g}",
            licence="MIT",
        )

    def locate(self, root: Path) -> str:
        """Return where the data is. If files are missing, raise `ltbench.errors.DataError` that tells what to put where."""
        return "drawn in memory"

    def load(self, root: Path) -> Images:
        """Draw the images. A data set with files reads them from a folder below `root`."""
        import numpy as np

        # RandomState gives the same numbers in every version of numpy.
        random = np.random.RandomState(0)
        labels = np.arange(CLASSES, dtype=np.int64).repeat(TRAIN + TEST)
        angle = (labels * np.pi / CLASSES)[:, None, None]
        start = random.uniform(0, 2 * np.pi, len(labels))[:, None, None]
        row, column = np.mgrid[:SIZE, :SIZE]
        wave = np.sin(np.cos(angle) * column + np.sin(angle) * row + start)
        pixels = 0.5 + 0.25 * (wave + self.noise * random.uniform(-1, 1, wave.shape))
        images = (255 * pixels).round().astype(np.uint8)[:, None]
        train = np.arange(len(labels)) % (TRAIN + TEST) < TRAIN
        return Images(
            train_images=images[train], train_labels=labels[train],
            test_images=images[~train], test_labels=labels[~train],
        )  # fmt: skip


@hookimpl
def ltbench_datasets() -> list[type[Dataset]]:
    return [MyDataset]
