"""Shapes drawn in memory."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from ltbench import Dataset, DatasetInfo, Images, hookimpl
from ltbench.errors import DataError

LTBENCH_API = 1  # version of the ltbench hooks that this module implements
CLASSES = ("disc", "square", "triangle", "diamond", "cross", "ring")
TRAIN, TEST, SIZE = 200, 50, 16
SHA256 = "e21c5488e097dcd7ab9f484d699412d9c3a77b070bbc54d416df0e9f9ec56249"
"""Digest of all images, training images first; a test compares it."""


class Shapes(Dataset, frozen=True):
    """Six bright shapes on a noisy background: 16 x 16 pixels, grey; 200 training and 50 test images of each.

    Position, size and brightness vary. The images are drawn with integer arithmetic, so that they are the same on every
    machine. Small networks learn the shapes in seconds and confuse the rare ones.

    Source: none; it is an example of a data set without files.
    """

    name = "shapes"
    # Every shape is its own mirror image.
    augment = "flip"

    def info(self, root: Path) -> DatasetInfo:
        return DatasetInfo(
            classes=CLASSES,
            train_counts=(TRAIN,) * len(CLASSES),
            test_counts=(TEST,) * len(CLASSES),
            channels=1,
            size=SIZE,
            # Of the training images / 255; a test compares them.
            mean=(0.298843,),
            std=(0.228371,),
            fingerprint=SHA256[:32],
            licence="MIT",
        )

    def locate(self, root: Path) -> str:
        return "drawn in memory"

    def load(self, root: Path) -> Images:
        import numpy as np

        images = _draw()
        if hashlib.sha256(images.tobytes()).hexdigest() != SHA256:
            raise DataError(
                "data set 'shapes' was drawn differently", why="the digest of its images is wrong",
                fix="report the version of numpy to the authors of ltbench-shapes",
            )  # fmt: skip
        labels = np.arange(len(CLASSES), dtype=np.int64)
        first = len(CLASSES) * TRAIN
        return Images(
            train_images=images[:first],
            train_labels=labels.repeat(TRAIN),
            test_images=images[first:],
            test_labels=labels.repeat(TEST),
        )


def _draw() -> Any:
    """Return all images, uint8 [N, 1, SIZE, SIZE]: training images class by class, then test images."""
    import numpy as np

    labels = np.concatenate([np.arange(len(CLASSES)).repeat(TRAIN), np.arange(len(CLASSES)).repeat(TEST)])
    # Bit generators, unlike distributions, give the same numbers in every version of numpy.
    stream = np.random.PCG64(0)

    def draw(low: int, high: int, *shape: int) -> Any:
        """Return whole numbers from low to high, both included."""
        return low + (stream.random_raw(shape) % (high - low + 1)).astype(np.int64)

    across = (len(labels), 1, 1)
    radius = draw(4, 6, *across)
    y = np.arange(SIZE)[:, None] - draw(6, 9, *across)
    x = np.arange(SIZE)[None, :] - draw(6, 9, *across)
    square, distance = np.maximum(abs(y), abs(x)) <= radius, y**2 + x**2
    inside = np.choose(labels[:, None, None], [
        distance <= radius**2,
        square,
        square & (2 * abs(x) <= y + radius),
        abs(y) + abs(x) <= radius,
        square & (np.minimum(abs(y), abs(x)) <= 1),
        (distance <= radius**2) & (distance > (radius - 2) ** 2),
    ])  # fmt: skip
    ground = draw(0, 90, len(labels), SIZE, SIZE)
    return (ground + inside * draw(60, 160, *across)).astype(np.uint8)[:, None]


@hookimpl
def ltbench_datasets() -> list[type[Dataset]]:
    return [Shapes]
