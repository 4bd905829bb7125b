"""What a check is given: a technique, and what to examine it with."""

from __future__ import annotations

import inspect
import sys
import traceback
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, cast

from ltbench.errors import CheckFailed
from ltbench.technique import Technique
from ltbench.testing.ask_everything import exercise
from ltbench.testing.flat_values import Flat, flat
from ltbench.testing.inputs import World
from ltbench.testing.randomness import seeded

if TYPE_CHECKING:
    from ltbench.registry.registry import Registry


class Subject:
    """A technique that is examined."""

    def __init__(self, technique: Technique, registry: Registry | None = None) -> None:
        self.technique, self._registry = technique, registry

    @property
    def registry(self) -> Registry:
        """Every technique there is, to tell whether the name of this one is free."""
        return self._registry or _installed()

    @property
    def alone(self) -> Registry:
        """What the harness's own checks of results ask: who made a technique, whether it is installed or not."""
        return cast("Registry", _Alone())

    def outcome(self, world: World | None = None, *, seed: int = 0, technique: Technique | None = None) -> Flat:
        """Return all that the technique answers, laid out flat, with the global generators seeded by `seed`."""
        with seeded(seed):
            return flat(exercise(technique or self.technique, world or World()))

    @property
    def usual(self) -> Flat:
        """What it answers in the usual world; it is asked once, however many checks look at it."""
        return _usual(self.technique) if _is_hashable(self.technique) else self.outcome()

    def line(self, error: BaseException) -> str:
        """Return where in the technique's code an error came up, as `file.py:12, in per_sample`; empty if not there."""
        files = {inspect.getsourcefile(kind) for kind in type(self.technique).__mro__ if not _of_harness(kind)}
        frames = traceback.extract_tb(error.__traceback__)
        # What is in files beside it, such as a helper's, counts as the technique's own where nothing else does.
        own = [f for f in frames if f.filename in files]
        if not own:
            return ""
        return f"{own[-1].filename.rpartition('/')[2]}:{own[-1].lineno}, in {own[-1].name}"


@lru_cache(maxsize=64)
def _usual(technique: Technique) -> Flat:
    return Subject(technique).outcome()


def _is_hashable(technique: Technique) -> bool:
    try:
        hash(technique)
    except TypeError:
        return False
    return True


class _Alone:
    """Who made a technique, as an error names it."""

    @staticmethod
    def provenance(technique: Technique) -> dict[str, Any]:
        return {"distribution": "module", "version": type(technique).__module__}


def _of_harness(kind: type) -> bool:
    return kind.__module__.split(".")[0] in {"ltbench", "msgspec", "builtins"}


@cache
def _installed() -> Registry:
    from ltbench.registry.registry import Registry

    return Registry.load()


def failed(seen: str, expected: str, fix: str) -> CheckFailed:
    """Return the error of a check: what was seen, what was expected, and how to mend it."""
    return CheckFailed(seen, why=expected, fix=fix)


def source_file(kind: type) -> str:
    """Return the file that defines a class; empty where there is none."""
    return getattr(sys.modules.get(kind.__module__), "__file__", None) or ""
