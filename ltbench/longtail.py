"""Long-tailed subsets: drawing images by class counts, and statistics of class counts.

Subsets follow LDAM (Cao et al., NeurIPS 2019, `imbalance_cifar.py`): they equal those of the literature, and subsets of
different imbalance factors are nested. Only functions of arrays import numpy.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ltbench.errors import DataError, UsageError

if TYPE_CHECKING:
    from ltbench.stages import IntArray

MANY = 100
"""Classes with more training images are "many" (Liu et al., "OLTR", CVPR 2019)."""
FEW = 20
"""Classes with fewer training images are "few"; "medium" is in between, including both limits."""
_MAX_SEED = 2**32 - 1


def check_imbalance_factor(imbalance_factor: float) -> float:
    """Return the factor as a float; raise `UsageError` unless it is a finite number of at least 1."""
    factor = float(imbalance_factor)
    if not (math.isfinite(factor) and factor >= 1):
        raise UsageError(
            f"imbalance factor {factor:g} is invalid: it is the number of images of the largest class divided by "
            "that of the smallest one",
            fix="use a number of at least 1 (1 is balanced)" + (f", such as {1 / factor:g}" if 0 < factor < 1 else ""),
        )
    return factor


def check_counts(
    counts: Iterable[int], available: Iterable[int], where: str = "", *, names: Sequence[str] = (), hint: str = ""
) -> None:
    """Raise `DataError` unless every class keeps at least one image and at most the available ones.

    counts: images to keep per class; available: images per class; where, names (of classes), hint: for the message.
    """
    wanted, present = [int(n) for n in counts], [int(n) for n in available]
    if sum(present) <= 0:
        raise DataError("the data set is empty: it has no training images", where=where)
    if len(wanted) != len(present):
        raise DataError(f"{len(wanted)} class counts for {len(present)} classes", where=where)
    if len(present) > sum(present):
        raise DataError(f"there are more classes ({len(present)}) than training images ({sum(present)})", where=where)
    if short := [c for c, n in enumerate(wanted) if n > present[c]]:
        c = short[0]
        raise DataError(
            f"class {_class_name(c, names)} should keep {wanted[c]} training images but has {present[c]}{_and_others(short)}",
            where=where,
            fix="choose a profile that keeps fewer images",
        )
    if empty := [c for c, n in enumerate(wanted) if n < 1]:
        raise DataError(
            f"class {_class_name(empty[0], names)} would keep no training images{_and_others(empty)}",
            where=where,
            why="a class without images cannot be learnt",
            fix="a smaller imbalance factor" + (f", or {hint}" if hint else ""),
        )


def _class_name(label: int, names: Sequence[str]) -> str:
    return f"'{names[label]}'" if label < len(names) else str(label)


def _and_others(classes: Sequence[int]) -> str:
    return f" (and {len(classes) - 1} more like it)" if len(classes) > 1 else ""


def class_counts(labels: IntArray, classes: int) -> IntArray:
    """Return the number of images of each class, `int64 [C]`. labels: int64 [N] in 0 .. classes - 1."""
    import numpy as np

    if labels.size and (labels.min() < 0 or labels.max() >= classes):
        raise DataError(f"labels go from {labels.min()} to {labels.max()}; expected 0 to {classes - 1}")
    return np.bincount(labels, minlength=classes).astype(np.int64)


def subset_indices(labels: IntArray, counts: Iterable[int], seed: int) -> IntArray:
    """Return the indices of a long-tailed subset, `int64 [sum(counts)]`, as in LDAM.

    One legacy `RandomState(seed)` shuffles all positions of each class, in label order; the first `counts[c]` are kept
    and the classes concatenated. Shuffling before cutting nests the subsets of one seed.

    labels: int64 [N]; seed: 0 .. 2**32 - 1. Raises `DataError` as `check_counts` does, `UsageError` for the seed.
    """
    import numpy as np

    if not 0 <= seed <= _MAX_SEED:
        raise UsageError(f"subset seed {seed} is out of range", fix=f"use an integer from 0 to {_MAX_SEED}")
    wanted = [int(n) for n in counts]
    check_counts(wanted, class_counts(labels, len(wanted)).tolist())
    random = np.random.RandomState(seed)
    kept = []
    for label, number in enumerate(wanted):
        positions = np.flatnonzero(labels == label)
        random.shuffle(positions)
        kept.append(positions[:number])
    return np.concatenate(kept).astype(np.int64)


def held_out_counts(counts: Iterable[int], share: float) -> list[int]:
    """Return how many images of each class are held out of training: a share of them, rounded half up.

    A class of two or more images has at least one held out and keeps at least one; a class of one image keeps it.
    share: in [0, 1); 0 holds nothing out.

    >>> held_out_counts([500, 25, 4, 2, 1], 0.1)
    [50, 3, 1, 1, 0]
    """
    if not 0 <= share < 1:
        raise UsageError(f"a held-out share of {share:g} is invalid", fix="use a number from 0 to below 1, such as 0.1")
    return [min(max(math.floor(share * n + 0.5), 1), n - 1) if share and n > 1 else 0 for n in map(int, counts)]


def held_out_positions(counts: Iterable[int], share: float, seed: int) -> IntArray:
    """Return the positions of the held-out images in a subset of these class counts, sorted, `int64 [H]`.

    The images of a class follow each other, as in `subset_indices`. They are cut into consecutive parts, where a class
    of that many images would hold out one more, and one image of each part is drawn. So the held-out images of a larger
    imbalance factor are among those of a smaller one, as the subsets are. seed: of the stream of this draw.
    """
    import numpy as np

    start, drawn = 0, [np.empty(0, np.int64)]
    for label, number in enumerate(map(int, counts)):
        totals = np.array(held_out_counts(range(number + 1), share))
        ends = np.flatnonzero(np.diff(totals)) + 1
        begins = np.concatenate([[0], ends[:-1]]) if len(ends) else ends
        # A generator for each class, whose draws do not depend on how many follow.
        picks = np.random.default_rng([seed, label]).random(len(ends))
        drawn.append(start + begins + (picks * (ends - begins)).astype(np.int64))
        start += number
    return np.concatenate(drawn)


def held_out_units(labels: IntArray, units: IntArray, share: float, seed: int) -> IntArray:
    """Return the positions of the held-out images of a subset whose images belong together, sorted, `int64 [H]`.

    Whole units are held out. Those of the rarest class come first, in a pseudo-random order; one is held out if it brings the
    held-out images of its classes closer to `held_out_counts`, and leaves every class an image for training. A class of which
    then nothing is held out gives its smallest unit that leaves one. So a class of a single unit has no held-out images.

    labels, units: int64 [N], of the images of the subset; share: in [0, 1); seed: of the stream of this draw.
    """
    import numpy as np

    classes = int(labels.max()) + 1 if len(labels) else 0
    totals = np.bincount(labels, minlength=classes)
    wanted = np.array(held_out_counts(totals.tolist(), share))
    names, unit_of = np.unique(units, return_inverse=True)
    table = np.zeros((len(names), classes), np.int64)
    np.add.at(table, (unit_of, labels), 1)
    order = np.random.default_rng(seed).permutation(len(names))
    held, drawn = np.zeros(classes, np.int64), np.zeros(len(names), bool)
    scale = np.maximum(wanted, 1)

    def fits(unit: int) -> bool:
        own = table[unit] > 0
        return bool(not drawn[unit] and (held + table[unit] < totals)[own].all())

    for label in sorted(np.flatnonzero(wanted).tolist(), key=lambda c: (totals[c], c)):
        own = [unit for unit in order.tolist() if table[unit, label]]
        for unit in own:
            gain = (np.abs(held - wanted) - np.abs(held + table[unit] - wanted)) / scale
            if held[label] < wanted[label] and fits(unit) and gain.sum() > 0:
                drawn[unit] = True
                held += table[unit]
        if not held[label] and (left := [unit for unit in own if fits(unit)]):
            smallest = min(left, key=lambda unit: int(table[unit].sum()))
            drawn[smallest] = True
            held += table[smallest]
    return np.flatnonzero(drawn[unit_of]).astype(np.int64)


def gini(counts: Iterable[int]) -> float:
    """Return the Gini coefficient of class counts: 0 for equal counts, near 1 if one class dominates.

    It is the mean absolute difference of all pairs divided by twice the mean. Raises `DataError` without images.

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
    """Return the ratio of the largest and the smallest class count; None if a class has no images.

    >>> realised_imbalance([5000, 50])
    100.0
    """
    numbers = [int(n) for n in counts]
    if not numbers or min(numbers) <= 0:
        return None
    return max(numbers) / min(numbers)


def shifted_prior(counts: Iterable[int], ratio: float) -> list[float]:
    """Return the share of each class under a test-time shift: `ratio ** -(r / (C - 1))` for rank r, normalised.

    Ranks are those of the training counts, the largest class first; ties are broken by label. So `ratio` is the share of
    the largest class over that of the smallest: 1 is uniform, and one below 1 is a backward shift.
    counts: int64 [C] of training images. Source: Hong et al., LADE, CVPR 2021.

    >>> [round(share, 3) for share in shifted_prior([9, 1, 4], 4)]
    [0.571, 0.143, 0.286]
    """
    numbers = [int(n) for n in counts]
    ranked = sorted(range(len(numbers)), key=lambda label: (-numbers[label], label))
    rank = {label: place for place, label in enumerate(ranked)}
    last = max(len(numbers) - 1, 1)
    shares = [ratio ** -(rank[label] / last) for label in range(len(numbers))]
    return [share / sum(shares) for share in shares]


def groups(counts: Iterable[int]) -> dict[str, list[int]]:
    """Return the classes with many (over 100), medium (20 to 100) and few (under 20) training images.

    >>> groups([500, 101, 100, 20, 19])
    {'many': [0, 1], 'medium': [2, 3], 'few': [4]}
    """
    members: dict[str, list[int]] = {"many": [], "medium": [], "few": []}
    for label, number in enumerate(counts):
        members["many" if number > MANY else "few" if number < FEW else "medium"].append(label)
    return members


def thirds(counts: Iterable[int]) -> dict[str, list[int]]:
    """Return the classes of the head, middle and tail third by number of training images.

    Ties are broken by label. Head and tail each have a third of the classes, rounded; the middle has the rest.

    >>> thirds([9, 8, 7, 6, 5, 4, 3, 2, 1, 0])
    {'head': [0, 1, 2], 'middle': [3, 4, 5, 6], 'tail': [7, 8, 9]}
    """
    numbers = [int(n) for n in counts]
    ranked = sorted(range(len(numbers)), key=lambda label: (-numbers[label], label))
    third = round(len(ranked) / 3)
    middle = len(ranked) - third
    return {"head": sorted(ranked[:third]), "middle": sorted(ranked[third:middle]), "tail": sorted(ranked[middle:])}
