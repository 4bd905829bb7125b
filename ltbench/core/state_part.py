"""A part of the state of a process: see `ltbench.core.process_state`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

UNKNOWN: Final = object()
"""The first value of a part that differs between machines."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One part of the state: how to read it, and how to put it back."""

    name: str
    """In words that continue "changed"."""
    get: Callable[[], Any]
    put: Callable[[Any], object] | None = None
    """Sets a value that `get` returned; None where the system cannot."""
    first: Any = UNKNOWN
    """The value after its library is imported, for a library that was not there before."""
    compared: bool = True
    """Whether a change is a fault. Otherwise the value is only put back."""
    imports_add: bool = False
    """Whether importing a library usually adds to it: a mapping or a list."""
    never_added: frozenset[Any] = frozenset()
    """What an import must not add either: keys of a mapping."""
    keeps_added: bool = False
    """Whether what an import has added has to stay, as the library would not work without."""
    private: bool = False
    """Whether values must not be shown, as they may hold secrets or paths."""
