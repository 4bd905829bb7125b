"""Child processes that do not import the script of this process.

Python imports it in each new process, for functions that are defined there. The processes of ltbench call functions of its
modules only, and a script that calls `ltbench.run` without a guard (`if __name__ == "__main__":`) would call it again in each.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import SpawnContext, SpawnProcess
from multiprocessing.process import BaseProcess
from types import ModuleType
from typing import Any

_LOCK = threading.Lock()


class _Process(SpawnProcess):
    @staticmethod
    def _Popen(process_obj: BaseProcess) -> Any:  # noqa: N802 - the name is that of multiprocessing
        with _LOCK, _nameless(sys.modules["__main__"]):
            return SpawnProcess._Popen(process_obj)  # noqa: SLF001 - to be overridden


class Spawning(SpawnContext):
    """A context of multiprocessing, as `get_context("spawn")` returns it, for functions of modules."""

    Process = _Process


@contextmanager
def _nameless(main: ModuleType) -> Iterator[None]:
    """Hide by which name or file a new process would import the main module."""
    names = ("__spec__", "__file__")
    before = {name: main.__dict__[name] for name in names if name in main.__dict__}
    main.__spec__ = None
    main.__dict__.pop("__file__", None)
    try:
        yield
    finally:
        main.__dict__.update(before)
