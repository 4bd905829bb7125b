"""Long-tailed subsets: which images a class count keeps, and what a list of class counts is like.

The subset convention is that of LDAM (Cao et al., NeurIPS 2019, `imbalance_cifar.py`), so that subsets are the
literature's and those of different imbalance factors are nested. Only what touches arrays needs numpy.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ltbench.errors import DataError, UsageError

if TYPE_CHECKING:
    from ltbench.stages import IntArray

MANY = 100
"""A class with more training images than this is one of many (Liu et al., "OLTR", CVPR 2019)."""
FEW = 20
"""A class with fewer training images than this is one of few; the medium ones are in between, both ends included."""
_MAX_SEED = 2**32 - 1


def check_imbalance_factor(imbalance_factor: float) -> float:
    """Return the factor as a float; raise `UsageError` unless it is a finite number of at least 1."""
    factor = float(imbalance_factor)
    if not (math.isfinite(factor) and factor >= 1):
        raise UsageError(
            f"imbalance factor {factor:g} cannot be: it is the images of the most frequent class divided by those of "
            "the rarest one",
            fix="a number of at least 1; 1 is balanced" + (f", and {1 / factor:g} here" if 0 < factor < 1 else ""),
        )
    return factor


def check_counts(counts: Iterable[int], available: Iterable[int], where: str = "") -> None:
    """Raise `DataError` unless every class gets at least one image and no more than there are.

    counts: images that each class is to keep; available: images that each class has; where: for the message.
    """
    wanted, there = [int(n) for n in counts], [int(n) for n in available]
    if sum(there) <= 0:
        raise DataError("the data set is empty: it has no training images", where=where)
    if len(wanted) != len(there):
        raise DataError(f"{len(wanted)} class counts for {len(there)} classes", where=where)
    if len(there) > sum(there):
        raise DataError(f"there are more classes ({len(there)}) than training images ({sum(there)})", where=where)
    if short := [c for c, n in enumerate(wanted) if n > there[c]]:
        c = short[0]
        raise DataError(
            f"class {c} is to keep {wanted[c]} training images and has {there[c]}{_and_others(short)}",
            where=where,
            fix="a profile that asks for no more than there is",
        )
    if empty := [c for c, n in enumerate(wanted) if n < 1]:
        raise DataError(
            f"class {empty[0]} would keep no training image{_and_others(empty)}",
            where=where,
            why="every class needs at least one to be learnt from and measured on",
            fix="a smaller imbalance factor",
        )


def _and_others(classes: Sequence[int]) -> str:
    return f" (and {len(classes) - 1} more like it)" if len(classes) > 1 else ""


def class_counts(labels: IntArray, classes: int) -> IntArray:
    """Return the number of images of each class, `int64 [C]`. labels: int64 [N] in 0 .. classes - 1."""
    import numpy as np

    if labels.size and (labels.min() < 0 or labels.max() >= classes):
        raise DataError(f"labels go from {labels.min()} to {labels.max()}; expected 0 to {classes - 1}")
    return np.bincount(labels, minlength=classes).astype(np.int64)


def subset_indices(labels: IntArray, counts: Iterable[int], seed: int) -> IntArray:
    """Return which images a long-tailed subset keeps, `int64 [sum(counts)]`, by the convention of LDAM.

    One legacy `RandomState(seed)`; classes in label order; the positions of each class, in the original order, are
    shuffled whole and the first `counts[c]` of them are kept; classes are concatenated. A class is shuffled before it
    is cut, so the subsets of one seed are nested.

    labels: int64 [N]; seed: 0 .. 2**32 - 1. Raises `DataError` as `check_counts` does, `UsageError` for the seed.
    """
    import numpy as np

    if not 0 <= seed <= _MAX_SEED:
        raise UsageError(f"subset seed {seed} is out of range", fix=f"a whole number from 0 to {_MAX_SEED}")
    wanted = [int(n) for n in counts]
    check_counts(wanted, class_counts(labels, len(wanted)).tolist())
    random = np.random.RandomState(seed)
    kept = []
    for label, number in enumerate(wanted):
        positions = np.flatnonzero(labels == label)
        random.shuffle(positions)
        kept.append(positions[:number])
    return np.concatenate(kept).astype(np.int64)


def gini(counts: Iterable[int]) -> float:
    """Return the Gini coefficient of class counts: 0 where all are equal, towards 1 the more one class has of all.

    Mean absolute difference of all pairs over twice the mean. Raises `DataError` where there is no image.

    >>> gini([5, 5, 5])
    0.0
    >>> gini([1, 3])
    0.25
    """
    ordered = sorted(int(n) for n in counts)
    total, classes = sum(ordered), len(ordered)
    if total <= 0:
        raise DataError("the Gini coefficient of no images is undefined")
    return sum((2 * rank - classes - 1) * n for rank, n in enumerate(ordered, start=1)) / (classes * total)


def realised_imbalance(counts: Iterable[int]) -> float | None:
    """Return images of the most frequent class over those of the rarest; None where a class has none.

    >>> realised_imbalance([5000, 50])
    100.0
    """
    numbers = [int(n) for n in counts]
    if not numbers or min(numbers) <= 0:
        return None
    return max(numbers) / min(numbers)


def groups(counts: Iterable[int]) -> dict[str, list[int]]:
    """Return the classes with many (over 100), medium (20 to 100) and few (under 20) training images.

    >>> groups([500, 101, 100, 20, 19])
    {'many': [0, 1], 'medium': [2, 3], 'few': [4]}
    """
    found: dict[str, list[int]] = {"many": [], "medium": [], "few": []}
    for label, number in enumerate(counts):
        found["many" if number > MANY else "few" if number < FEW else "medium"].append(label)
    return found


def thirds(counts: Iterable[int]) -> dict[str, list[int]]:
    """Return the classes of the head, middle and tail third by number of training images.

    Ties go by label. Head and tail hold a third of the classes each, rounded to the nearest; the middle has the rest.

    >>> thirds([9, 8, 7, 6, 5, 4, 3, 2, 1, 0])
    {'head': [0, 1, 2], 'middle': [3, 4, 5, 6], 'tail': [7, 8, 9]}
    """
    numbers = [int(n) for n in counts]
    ranked = sorted(range(len(numbers)), key=lambda label: (-numbers[label], label))
    third = round(len(ranked) / 3)
    middle = len(ranked) - third
    return {"head": sorted(ranked[:third]), "middle": sorted(ranked[third:middle]), "tail": sorted(ranked[middle:])}
