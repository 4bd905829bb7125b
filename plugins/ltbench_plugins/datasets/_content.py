"""The decoded content of a data set, independent of the file format: digest, mean and deviation."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ltbench import Images
from ltbench.errors import DataError
from ltbench.image_files.decode import RULES

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from ltbench.image_files.decode import Rules

_LEAST_STD = 1 / 255
_BLOCK = 256
"""Number of images that are read at once."""


def fingerprint(images: Images) -> str:
    """Return the digest of training and test images, their labels, and what belongs together."""
    pairs = [(images.train_images, images.train_labels), (images.test_images, images.test_labels)]
    units = [] if images.train_units is None else [(images.train_labels, images.train_units)]
    return _fingerprint(*pairs, *units)


def valid_fingerprint(images: Images) -> str:
    """Return the digest of the validation images and their labels; empty if there are none."""
    return "" if images.valid_labels is None else _fingerprint((images.valid_images, images.valid_labels))


def file_fingerprint(rules: Rules, *parts: Sequence[str] | Sequence[int]) -> str:
    """Return the digest of files, their labels, and how they are read, where pixels depend on a library's last bit.

    parts: digests of files and their labels, in turn.
    """
    digest = hashlib.sha256(f"{RULES}/{rules}".encode())
    for part in parts:
        digest.update(f"/{len(part)}/{','.join(map(str, part))}".encode())
    return digest.hexdigest()[:32]


def _fingerprint(*splits: tuple[Any, Any]) -> str:
    """Return the first 32 hex digits of the SHA-256 of images (uint8) and labels (as little-endian int64)."""
    import numpy as np

    digest = hashlib.sha256()
    for pixels, labels in splits:
        digest.update(repr(pixels.shape).encode())
        for start in range(0, len(pixels), _BLOCK):  # they may be larger than memory
            digest.update(np.ascontiguousarray(pixels[start : start + _BLOCK]).data)
        digest.update(np.ascontiguousarray(labels, dtype="<i8").tobytes())
    return digest.hexdigest()[:32]


def moments(images: npt.NDArray[np.uint8]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and population standard deviation per channel of pixels / 255, to six digits.

    A deviation is at least 1 / 255, so that normalisation does not amplify the noise of a constant channel.
    """
    return moments_of([image_sums(image) for image in images], images[0, 0].size)


def image_sums(image: npt.NDArray[np.uint8]) -> list[int]:
    """Return the sum of the values of each channel of an image, then the sums of their squares."""
    import numpy as np

    values = image.reshape(len(image), -1).astype(np.float64)  # exact, as sums are below 2 ** 53
    return [int(total) for part in (values.sum(1), np.einsum("ij,ij->i", values, values)) for total in part]


def moments_of(sums: Sequence[Sequence[int]], pixels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return what `moments` returns, from what `image_sums` returns for each image. pixels: number of them in an image."""
    number, totals = pixels * len(sums), [sum(each) for each in zip(*sums, strict=True)]
    channels = len(totals) // 2
    mean, std = [], []
    # In integers, as the difference of the two terms of a variance is small.
    for total, squares in zip(totals[:channels], totals[channels:], strict=True):
        mean.append(round(total / (255 * number), 6))
        variance = (squares * number - total**2) / (255 * number) ** 2
        std.append(round(max(variance**0.5, _LEAST_STD), 6))
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
