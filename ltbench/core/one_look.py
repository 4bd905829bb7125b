"""What a command looks at once, however many of its parts ask: to look at half a million files takes seconds."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

T = TypeVar("T")
_seen: ContextVar[dict[Hashable, Any] | None] = ContextVar("seen", default=None)


@contextmanager
def one_look() -> Iterator[None]:
    """Have `looked_once` look once at each thing within the block, which is a command."""
    token = _seen.set({})
    try:
        yield
    finally:
        _seen.reset(token)


def looked_once(what: Hashable, look: Callable[[], T]) -> T:
    """Return what `look` returns; within `one_look` what it returned at first for the same thing."""
    if (seen := _seen.get()) is None:
        return look()
    if what not in seen:
        seen[what] = look()
    found: T = seen[what]
    return found
