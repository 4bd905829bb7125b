"""Small parts of English sentences."""

from __future__ import annotations


def with_article(noun: str) -> str:
    """Return a noun with its indefinite article.

    >>> with_article("ensemble"), with_article("loss")
    ('an ensemble', 'a loss')
    """
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"
