"""What networks say about images that are too small for them."""

from __future__ import annotations

from ltbench.errors import DataError


def check_size(model: str, size: int, least: int) -> None:
    """Raise `DataError` where an image has fewer pixels a side than the network halves away."""
    if size < least:
        raise DataError(f"model '{model}' needs images of {least} pixels a side or more, and these have {size}")
