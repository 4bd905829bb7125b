"""Small parts of English sentences."""

from __future__ import annotations

from collections.abc import Sequence


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
