"""Small parts of English sentences."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

_NAMED = 3
"""Classes that a sentence names"""


def with_article(noun: str) -> str:
    """Return a noun with its indefinite article.

    >>> with_article("ensemble"), with_article("loss")
    ('an ensemble', 'a loss')
    """
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural unless it is one.

    >>> counted(1, "cell"), counted(2000, "cell")
    ('1 cell', '2,000 cells')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def classes_without(counts: Sequence[int]) -> str:
    """Return a remark on the classes without any image; empty if all have some. counts: images of each class.

    >>> classes_without([3, 0, 0]), classes_without([3, 0]), classes_without([3, 1])
    (' (2 classes have none)', ' (1 class has none)', '')
    """
    number = sum(count == 0 for count in counts)
    return f" ({number:,} {'class has' if number == 1 else 'classes have'} none)" if number else ""


def dropped(kept: Sequence[int], available: Sequence[int], classes: Sequence[str]) -> str:
    """Return how many training images a profile drops, and of which classes most; empty if it drops none.

    kept, available: images of each class.

    >>> dropped([5, 5, 1], [5, 90, 11], ["a", "b", "c"])
    "drops 95 of 106 training images: 85 of 90 of 'b', 10 of 11 of 'c'; the classes are not in the order of their counts"
    """
    lost = [(there - n, there, name) for n, there, name in zip(kept, available, classes, strict=True) if there > n]
    if not lost:
        return ""
    lost.sort(key=lambda one: -one[0])
    first = ", ".join(f"{number:,} of {there:,} of '{name}'" for number, there, name in lost[:_NAMED])
    more = f" and of {len(lost) - _NAMED:,} more" if len(lost) > _NAMED else ""
    text = f"drops {sum(number for number, _, _ in lost):,} of {sum(available):,} training images: {first}{more}"
    in_order = all(one >= other for one, other in pairwise(available))
    return text if in_order else f"{text}; the classes are not in the order of their counts"
