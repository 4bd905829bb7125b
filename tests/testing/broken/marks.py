"""What a broken technique breaks."""

from __future__ import annotations

BROKEN: list[tuple[type, frozenset[str]]] = []
"""Broken techniques, each with the checks that have to fail: all of them, and no other."""


def breaks(*checks: str):
    """Mark a technique as one that fails these checks and no other."""

    def mark(technique: type) -> type:
        BROKEN.append((technique, frozenset(checks)))
        return technique

    return mark
