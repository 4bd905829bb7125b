"""From the share that each class keeps of the most frequent one to class counts."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ltbench.errors import DataError


def most_frequent(available: Sequence[int], shares: Sequence[float]) -> int:
    """Return the largest head count that every class can follow; in a balanced data set, what each class has.

    available: images there are per class; shares: what each class keeps per image of the most frequent class, in
    (0, 1]. Raises `DataError` where there is no class.
    """
    if not available:
        raise DataError("the data set is empty: it has no classes")
    return math.floor(min(there / share for there, share in zip(available, shares, strict=True)))
