"""A subset of Fashion-MNIST in the package, so that a first run needs no download."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ltbench import Dataset, DatasetInfo, Images, hookimpl
from ltbench.errors import DataError

FILE = Path(__file__).parent / "_fashion_mini" / "images.xz"
CLASSES, TRAIN, TEST, SIZE = 10, 600, 200, 28
SHA256 = "e7974128b099d02cb9bbef951ca17ee8730ad03b49b9001cecf7e7b20b7022d6"
"""Digest of the decompressed file; `scripts/make_fashion_mini.py` writes the file and prints this."""


class FashionMini(Dataset, frozen=True):
    """600 training and 200 test images of each class of Fashion-MNIST: 28 x 28 pixels, grey; embedded.

    These are the first ones of each class in file order. The classes go from head to tail in label order. Source: Xiao, Rasul
    and Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms", 2017.
    """

    name = "fashion_mini"
    # Mirrored clothes keep their class; padding of two pixels, as the images are smaller than those of CIFAR.
    augment = "crop_flip[padding=2]"

    def info(self, root: Path) -> DatasetInfo:
        return DatasetInfo(
            classes=(
                "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
                "Ankle boot",
            ),
            train_counts=(TRAIN,) * CLASSES,
            test_counts=(TEST,) * CLASSES,
            channels=1,
            size=SIZE,
            # Mean and population standard deviation of the 6,000 training images / 255; tested against the file.
            mean=(0.286915,),
            std=(0.353779,),
            fingerprint=SHA256[:32],
            licence="MIT",
            source="https://github.com/zalandoresearch/fashion-mnist",
        )  # fmt: skip

    def locate(self, root: Path) -> str:
        if not FILE.is_file():
            raise DataError(f"{self.name} is missing", where=str(FILE), fix="reinstall ltbench")
        return f"{FILE} (embedded)"

    def load(self, root: Path) -> Images:
        import numpy as np

        self.locate(root)
        pixels = np.frombuffer(_content(FILE), np.uint8).reshape(-1, 1, SIZE, SIZE)
        labels = np.arange(CLASSES, dtype=np.int64)
        return Images(
            train_images=pixels[: CLASSES * TRAIN],
            train_labels=labels.repeat(TRAIN),
            test_images=pixels[CLASSES * TRAIN :],
            test_labels=labels.repeat(TEST),
        )


def _content(file: Path) -> bytes:
    """Return the pixels: training images class by class, then test images class by class."""
    import lzma

    try:
        content = lzma.decompress(file.read_bytes())
    except (OSError, lzma.LZMAError) as error:
        raise DataError(f"{file} cannot be read", why=str(error), fix="reinstall ltbench") from error
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise DataError(f"{file} is corrupt", why="the digest of its content is wrong", fix="reinstall ltbench")
    return content


@hookimpl
def ltbench_datasets() -> list[type[Dataset]]:
    return [FashionMini]
