"""The decoded content of a data set, independent of the file format: digest, mean and deviation."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ltbench import Images
from ltbench.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_LEAST_STD = 1 / 255
_BLOCK = 256
"""Number of images whose pixels are counted at once."""


def fingerprint(images: Images) -> str:
    """Return the digest of training and test images and their labels."""
    return _fingerprint((images.train_images, images.train_labels), (images.test_images, images.test_labels))


def valid_fingerprint(images: Images) -> str:
    """Return the digest of the validation images and their labels; empty if there are none."""
    return "" if images.valid_labels is None else _fingerprint((images.valid_images, images.valid_labels))


def _fingerprint(*splits: tuple[Any, Any]) -> str:
    """Return the first 32 hex digits of the SHA-256 of images (uint8) and labels (as little-endian int64)."""
    import numpy as np

    digest = hashlib.sha256()
    for pixels, labels in splits:
        digest.update(repr(pixels.shape).encode())
        digest.update(np.ascontiguousarray(pixels).data)
        digest.update(np.ascontiguousarray(labels, dtype="<i8").tobytes())
    return digest.hexdigest()[:32]


def moments(images: npt.NDArray[np.uint8]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and population standard deviation per channel of pixels / 255, to six digits.

    A deviation is at least 1 / 255, so that normalisation does not amplify the noise of a constant channel.
    """
    import numpy as np

    mean, std = [], []
    values = np.arange(256) / 255
    counts = np.zeros((images.shape[1], 256), np.int64)
    for start in range(0, len(images), _BLOCK):
        for channel in range(len(counts)):
            counts[channel] += np.bincount(images[start : start + _BLOCK, channel].ravel(), minlength=256)
    for count in counts:
        share = count / count.sum()
        middle = float(share @ values)
        mean.append(round(middle, 6))
        std.append(round(max(float(share @ (values - middle) ** 2) ** 0.5, _LEAST_STD), 6))
    return tuple(mean), tuple(std)


def check_contrast(std: Sequence[float], what: str) -> None:
    """Raise `DataError` if every channel has the smallest deviation that `moments` returns."""
    if max(std) <= round(_LEAST_STD, 6):
        raise DataError(
            f"all training images of {what} look the same: their pixel values deviate by less than one of 256 levels",
            why="after normalisation a network would only see noise",
            fix="look at the files; 12-bit images stored as 16 need white=4095, and white shapes on a transparent "
            "background need background=0",
        )
