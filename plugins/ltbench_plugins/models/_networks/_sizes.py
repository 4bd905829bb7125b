"""A check for images that are too small for a network."""

from __future__ import annotations

from ltbench.errors import DataError


def check_size(model: str, size: int, least: int) -> None:
    """Raise `DataError` where images have fewer than `least` pixels a side."""
    if size < least:
        raise DataError(f"model '{model}' needs images of {least} pixels a side or more, not {size}")
