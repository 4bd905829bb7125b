"""Results of techniques as flat dictionaries, which can be compared and sent between processes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from ltbench.confusion import Confusion
from ltbench.core.words import with_article

Flat = dict[str, Any]
"""Numpy arrays and plain values by their place in a result, such as `epochs[0]`."""


def flat(result: object) -> Flat:
    """Return the arrays and plain values of a result by their place; tensors become arrays."""
    return {place: plain(value) for place, value in values(result)}


def values(result: object, place: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values of a result with their places; tensors are not converted."""
    if isinstance(result, Mapping):
        for key, part in result.items():
            yield from values(part, f"{place}.{key}" if place else str(key))
    elif isinstance(result, msgspec.Struct):
        for field in result.__struct_fields__:
            yield from values(getattr(result, field), f"{place}.{field}" if place else field)
    elif isinstance(result, Confusion):
        for name in ("classes", "pairs", "images"):
            yield f"{place}.{name}", getattr(result, name)
    elif isinstance(result, (list, tuple)):
        yield f"the length of {place}", len(result)
        for number, part in enumerate(result):
            yield from values(part, f"{place}[{number}]")
    else:
        yield place, result


def plain(value: object) -> object:
    """Return a tensor as an array, a plain value unchanged, and anything else as the name of its type."""
    if detach := getattr(value, "detach", None):  # duck typing, because torch may not be imported
        return detach().cpu().numpy()
    if type(value).__module__ == "numpy" or value is None or isinstance(value, (bool, int, float, str)):
        return value
    return with_article(type(value).__name__)


def difference(first: Flat, second: Flat, *, tolerance: float = 0.0) -> str:
    """Return the first place at which two results differ; empty if they are equal.

    tolerance: relative to the largest value of an array; 0 compares bits.
    """
    for place in [*first, *(key for key in second if key not in first)]:
        if place not in first or place not in second or not _same(first[place], second[place], tolerance):
            return place
    return ""


def _same(first: Any, second: Any, tolerance: float) -> bool:
    import numpy as np

    if isinstance(first, (str, type(None))) or isinstance(second, (str, type(None))):
        return bool(first == second)
    first, second = np.asarray(first), np.asarray(second)
    if first.shape != second.shape or first.dtype != second.dtype:
        return False
    if not tolerance or first.dtype.kind != "f":
        return np.array_equal(first, second, equal_nan=first.dtype.kind == "f")
    scale = float(np.abs(first[np.isfinite(first)]).max(initial=0.0))
    return np.allclose(first, second, rtol=tolerance, atol=tolerance * scale, equal_nan=True)
