"""Convert class shares to class counts."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ltbench.errors import DataError


def most_frequent(available: Sequence[int], shares: Sequence[float]) -> int:
    """Return the largest head count for which all classes have enough images (if balanced, the class size).

    available: images per class; shares: size of each class relative to the most frequent one, in (0, 1]. Raises `DataError` if there are no classes.
    """
    if not available:
        raise DataError("the data set is empty: it has no classes")
    return math.floor(min(there / share for there, share in zip(available, shares, strict=True)))
