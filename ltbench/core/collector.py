"""The garbage collector of Python, which scans all new objects again and again while many are made."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator
from types import MethodType
from typing import Any


@contextlib.contextmanager
def without_collector() -> Iterator[None]:
    """Disable the garbage collector in the block: plans and records have no cycles, and collection takes a quarter of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        # Move the new objects to the permanent generation, so that the next collection does not scan them.
        gc.freeze()
        gc.unfreeze()
        if was_on:
            gc.enable()


def calls() -> list[Any]:
    """Return what is called with each collection, but for Dask: its worker removes its call when it loses its scheduler."""
    return [call for call in gc.callbacks if not _is_of_dask(call)]


def put_calls(before: list[Any]) -> None:
    """Have these calls again, beside that of Dask."""
    try:
        gc.callbacks[:] = [*before, *filter(_is_of_dask, gc.callbacks)]
    except TypeError:  # it is no longer a list
        gc.callbacks = list(before)


def _is_of_dask(call: object) -> bool:
    return isinstance(call, MethodType) and type(call.__self__).__module__ == "distributed.gc"
