"""A check for images that are too small for a network."""

from __future__ import annotations

from ltbench.errors import DataError


def check_size(model: str, size: int, least: int) -> None:
    """Raise `DataError` if images have fewer than `least` x `least` pixels."""
    if size < least:
        raise DataError(f"model '{model}' needs images of at least {least} x {least} pixels, not {size} x {size}")
