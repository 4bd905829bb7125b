"""What a trained model is given to classify: paths, images of Pillow and arrays, one or several."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ltbench.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

_ARRAYS = "uint8 [H, W], [H, W, 3] or [H, W, 4]"
"""Arrays that are images."""


def is_several(images: Any) -> bool:
    """Whether something is several images: a list, a tuple, an iterator, or an array [N, H, W, channels]."""
    if isinstance(images, np.ndarray):
        return images.ndim == 4
    # Bytes are iterable, too, but of numbers.
    return isinstance(images, Iterable) and not isinstance(images, str | bytes | bytearray | memoryview)


def opened(source: Any) -> Path | Image:
    """Return what can be opened of a source. Raises `DataError` for what is no image."""
    from PIL import Image

    if isinstance(source, str | Path):
        return Path(source)
    if isinstance(source, Image.Image):
        return source
    if not isinstance(source, np.ndarray):
        kind = type(source)
        name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
        raise DataError(
            f"an object of type {name} cannot be read as an image",
            why=f"expected a path, an image of Pillow, or an array {_ARRAYS}; or several of these",
            fix="give paths as text, numbers as such an array, and the bytes of a file as PIL.Image.open(io.BytesIO(content))",
        )
    shape = source.shape
    if source.dtype != np.uint8 or not (len(shape) == 2 or (len(shape) == 3 and shape[2] in {3, 4})):
        raise DataError(
            "an array cannot be read as an image",
            why=f"it is an array {source.dtype} {list(shape)}; expected {_ARRAYS}",
            fix="convert it",
        )
    if not source.size:
        raise DataError("an array cannot be read as an image", why=f"it is empty: {source.dtype} {list(shape)}")
    return Image.fromarray(source)
