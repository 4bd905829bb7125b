"""A part of the state of a process: see `ltbench.core.process_state`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

UNKNOWN: Final = object()
"""The initial value of a part that differs between machines."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One part of the state: how to read and restore it."""

    name: str
    """A phrase that follows "changed"."""
    get: Callable[[], Any]
    put: Callable[[Any], object] | None = None
    """Restores a value that `get` returned; None if that is impossible."""
    first: Any = UNKNOWN
    """The value right after the import, for a library that was not imported before."""
    compared: bool = True
    """Whether a change is an error. Otherwise the value is only restored."""
    imports_add: bool = False
    """Whether importing a library usually adds to it: a mapping or a list."""
    never_added: frozenset[Any] = frozenset()
    """Keys of a mapping that imports must not add either."""
    keeps_added: bool = False
    """Whether additions by an import have to stay, because the library needs them."""
    of_jobs: bool = False
    """Whether it takes so long to read that it is compared before and after a job, and not around each call of a technique."""
    private: bool = False
    """Whether values must not be shown, because they may contain secrets or paths."""
