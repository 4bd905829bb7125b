"""Results of techniques as flat dictionaries, which can be compared and sent between processes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

Flat = dict[str, Any]
"""Numpy arrays and plain values by their place in a result, such as `epochs[0]`."""


def flat(result: object, place: str = "") -> Flat:
    """Return the arrays and plain values of a result by their place; tensors become arrays."""
    return dict(_flat(result, place))


def _flat(result: object, place: str) -> Iterator[tuple[str, Any]]:
    if isinstance(result, Mapping):
        for key, part in result.items():
            yield from _flat(part, f"{place}.{key}" if place else str(key))
    elif isinstance(result, msgspec.Struct):
        for field in result.__struct_fields__:
            yield from _flat(getattr(result, field), f"{place}.{field}" if place else field)
    elif isinstance(result, (list, tuple)):
        yield f"the length of {place}", len(result)
        for number, part in enumerate(result):
            yield from _flat(part, f"{place}[{number}]")
    else:
        yield place, plain(result)


def plain(value: object) -> object:
    """Return a tensor as an array, a plain value unchanged, and anything else as the name of its type."""
    if detach := getattr(value, "detach", None):  # duck typing, as torch may not be imported
        return detach().cpu().numpy()
    if type(value).__module__ == "numpy" or value is None or isinstance(value, (bool, int, float, str)):
        return value
    return f"a {type(value).__name__}"


def difference(one: Flat, other: Flat, *, tolerance: float = 0.0) -> str:
    """Return the first place at which two results differ; empty where they are equal.

    tolerance: relative to the largest value of an array; 0 compares bits.
    """
    for place in [*one, *(key for key in other if key not in one)]:
        if place not in one or place not in other or not _same(one[place], other[place], tolerance):
            return place
    return ""


def _same(one: Any, other: Any, tolerance: float) -> bool:
    import numpy as np

    if isinstance(one, (str, type(None))) or isinstance(other, (str, type(None))):
        return bool(one == other)
    one, other = np.asarray(one), np.asarray(other)
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    if not tolerance or one.dtype.kind != "f":
        return np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    scale = float(np.abs(one[np.isfinite(one)]).max(initial=0.0))
    return np.allclose(one, other, rtol=tolerance, atol=tolerance * scale, equal_nan=True)
