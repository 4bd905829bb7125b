"""SVHN."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ltbench import Dataset, Images, hookimpl
from ltbench_plugins.datasets._array_files import ArrayFiles

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class Svhn(ArrayFiles, frozen=True):
    """Digits of house numbers: 73,257 training and 26,032 test images of 32 x 32 pixels, without the easier extra ones.

    A profile makes it long-tailed. Class 0 is the digit 0, which the files call 10.
    Source: Netzer et al., "Reading Digits in Natural Images with Unsupervised Feature Learning", NIPS workshop 2011.
    """

    name = "svhn"
    augment = "crop_flip[flip=0]"
    licence = "non-commercial use"
    home = "http://ufldl.stanford.edu/housenumbers/"

    def files(self) -> Mapping[str, str]:
        return {
            "train_32x32.mat": "e26dedcc434d2e4c54c9b2d4a06d8373",
            "test_32x32.mat": "eb5a983be6a315427106f1b164d9cef3",
        }

    def url(self, file: str) -> str:
        return self.home + file

    def class_names(self) -> Sequence[str]:
        return [str(digit) for digit in range(10)]

    def read(self, folder: Path) -> Images:
        (train_images, train_labels), (test_images, test_labels) = (_read(folder / name) for name in self.files())
        return Images(
            train_images=train_images, train_labels=train_labels, test_images=test_images, test_labels=test_labels
        )


def _read(file: Path) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    import numpy as np
    from scipy.io import loadmat

    content = loadmat(str(file))
    return np.ascontiguousarray(content["X"].transpose(3, 2, 0, 1)), content["y"].ravel().astype(np.int64) % 10


@hookimpl
def ltbench_datasets() -> list[type[Dataset]]:
    return [Svhn]
