"""The technique under test, with cached results."""

from __future__ import annotations

import inspect
import sys
import traceback
from functools import cache, lru_cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from ltbench.errors import CheckFailed
from ltbench.technique import Technique
from ltbench.testing.flat_values import Flat, flat
from ltbench.testing.inputs import Inputs
from ltbench.testing.randomness import seeded
from ltbench.testing.stage_calls import call_all

if TYPE_CHECKING:
    from ltbench.registry.registry import Registry

_HARNESS = {"ltbench", "msgspec", "builtins"}


class Subject:
    """A technique under test."""

    def __init__(self, technique: Technique, registry: Registry | None = None) -> None:
        self.technique: Any = technique  # each check calls the methods of its own stage
        self._registry = registry

    @property
    def registry(self) -> Registry:
        """All installed techniques, to find out whether a name is in use."""
        return self._registry or _installed()

    @property
    def provenance(self) -> Registry:
        """A substitute for the registry in the harness's checks, because the technique need not be installed."""

        def provenance(technique: Technique) -> dict[str, Any]:
            return {"distribution": "module", "version": type(technique).__module__}

        return cast("Registry", SimpleNamespace(provenance=provenance))

    def result(self, inputs: Inputs | None = None, *, technique: Technique | None = None) -> Flat:
        """Call every method with the global generators seeded and return the flat result."""
        with seeded(0):
            return flat(call_all(technique or self.technique, inputs or Inputs()))

    @property
    def default_result(self) -> Flat:
        """The result with default inputs, cached for all checks."""
        try:
            hash(self.technique)
        except TypeError:
            return self.result()
        return _default_result(self.technique)

    def line(self, error: BaseException) -> str:
        """Return the line of the technique's code that raised, as `file.py:12, in per_sample`; empty for other code."""
        own_classes = [kind for kind in type(self.technique).__mro__ if kind.__module__.split(".")[0] not in _HARNESS]
        files = {inspect.getsourcefile(kind) for kind in own_classes}
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if frame.filename in files]
        if not own:
            return ""
        return f"{own[-1].filename.rpartition('/')[2]}:{own[-1].lineno}, in {own[-1].name}"


@lru_cache(maxsize=64)  # more than the settings of a technique, few enough to keep results in memory
def _default_result(technique: Technique) -> Flat:
    return Subject(technique).result()


@cache
def _installed() -> Registry:
    from ltbench.registry.registry import Registry

    return Registry.load()


def failed(observed: str, expected: str, fix: str) -> CheckFailed:
    """Return the error of a check: what was observed, what was expected, and how to fix it."""
    return CheckFailed(observed, why=expected, fix=fix)


def source_file(kind: type) -> str:
    """Return the file that defines a class; empty if there is none."""
    return getattr(sys.modules.get(kind.__module__), "__file__", None) or ""
