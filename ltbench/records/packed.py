"""Arrays of numbers as short texts: `u1:eJxj...`, the type of the numbers and their compressed bytes in base64.

    u1, u2, u4, u8   integers of 0 or more, in the fewest bytes; all lowest bytes first, then all second ones ...
    i8               other integers, little-endian
    f8               floating-point numbers, little-endian; NaN stands for null

Numbers come back bit by bit. Another zlib may write another text for the same numbers, so numbers are compared and not texts.
"""

from __future__ import annotations

import base64
import binascii
import math
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from numpy.typing import NDArray

Number = int | float | None
_BYTES: Final = {"u1": 1, "u2": 2, "u4": 4, "u8": 8, "i8": 8, "f8": 8}
_LEVEL = 9
MOST: Final = 4_000_000
"""Most numbers of one text: pairs of classes that occur among as many test images."""


def pack(numbers: NDArray[Any]) -> str:
    """Return integers or floats [N] as a text."""
    import numpy as np

    if numbers.dtype.kind == "f":
        kind, content = "f8", numbers.astype("<f8").tobytes()
    elif len(numbers) and numbers.min() < 0:
        kind, content = "i8", numbers.astype("<i8").tobytes()
    else:
        size = next(n for n in (1, 2, 4, 8) if not len(numbers) or int(numbers.max()) < 1 << 8 * n)
        # Bytes of one place are alike, and compress better side by side.
        planes = numbers.astype(f"<u{size}").view(np.uint8).reshape(len(numbers), size).T
        kind, content = f"u{size}", planes.tobytes()
    # Most numbers are small and few repeat in order: Huffman codes gain more than matches, which this strategy uses less.
    packer = zlib.compressobj(_LEVEL, strategy=zlib.Z_FILTERED if kind.startswith("u") else zlib.Z_DEFAULT_STRATEGY)
    return f"{kind}:{base64.b64encode(packer.compress(content) + packer.flush()).decode()}"


def unpack(text: str, most: int = MOST) -> NDArray[Any]:
    """Return the numbers of a text, int64 or float64 [N]. Raises `ValueError` if it is not one, or has more than `most`.

    No more than that is decompressed: a text of one megabyte may be one of a gigabyte of zeros.
    """
    import numpy as np

    kind, _, data = text.partition(":")
    size = _BYTES.get(kind)
    if size is None:
        raise ValueError(f"'{kind[:20]}' is not a type of packed numbers")
    try:
        unpacker = zlib.decompressobj()
        content = unpacker.decompress(base64.b64decode(data, validate=True), most * size + 1)
    except (binascii.Error, zlib.error, ValueError) as error:
        raise ValueError(f"packed numbers cannot be read: {error}") from None
    if len(content) > most * size:
        raise ValueError(f"packed numbers are more than {most:,}")
    if not unpacker.eof:
        raise ValueError("packed numbers are truncated")
    if len(content) % size:
        raise ValueError(f"packed numbers have {len(content)} bytes, which is no multiple of {size}")
    if kind in ("i8", "f8"):
        return np.frombuffer(content, dtype=f"<{kind}").astype(np.int64 if kind == "i8" else np.float64)
    planes = np.frombuffer(content, dtype=np.uint8).reshape(size, -1).T
    return np.ascontiguousarray(planes).view(f"<u{size}").reshape(-1).astype(np.int64)


def pack_numbers(numbers: Sequence[Number]) -> str | list[Number]:
    """Return numbers as a text; as the list that they are if integers and floats are mixed, which JSON tells apart."""
    import numpy as np

    if all(type(number) is int for number in numbers):
        return pack(np.array(numbers, dtype=np.int64))
    if all(number is None or type(number) is float for number in numbers):
        return pack(np.array([math.nan if number is None else number for number in numbers], dtype=np.float64))
    return list(numbers)


def unpack_numbers(text: str) -> list[Number]:
    """Return the numbers of a text. Raises `ValueError` if it is not one."""
    numbers: list[Number] = unpack(text).tolist()
    return [None if number != number else number for number in numbers]  # noqa: PLR0124 - NaN
