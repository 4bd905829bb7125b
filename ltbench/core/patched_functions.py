"""Functions and constants that were replaced: of Python, libraries, ltbench and techniques. A part of the state of a process."""

from __future__ import annotations

import contextlib
import inspect
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import chain
from operator import attrgetter
from types import FunctionType, MethodType, ModuleType
from typing import Any

from ltbench.core.state_part import Part
from ltbench.core.watched_code import watched

_OWN_WRAPPERS = ("torch.optim.optimizer", "torch._dynamo", "torch._compile")
"""Modules that wrap methods of torch: `step` for the first optimiser of a class, others at the first compile."""
_INSIDE = ("__code__", "__defaults__", "__kwdefaults__")
_NOTHING = object()
_PLAIN = (bool, int, float, complex, str, bytes, tuple, frozenset)
_PLAIN_NAMES = ("torch.dtype", "torch.layout", "torch.memory_format")
"""Types of constants. None is no constant: modules begin with it what they make later."""


class _Originals:
    """The watched modules and classes, and their attributes when first seen.

    Parallel lists. A single fast comparison of all values in a row shows that nothing has changed.
    """

    def __init__(self, beside: _Originals | None = None) -> None:
        """beside: the originals of what is watched around each call, for those of what is watched around a job, which are more."""
        self._beside = beside
        self.modules = 0
        """Number of imported modules at the last update."""
        self.owners: dict[str, Any] = {}
        self.attributes: list[dict[str, Any]] = []
        self.attributes_now: list[Mapping[str, Any]] = []
        """Not copies, but the current attributes of each owner."""
        self.with_constants: set[str] = set()
        """The owners whose constants are compared, too."""
        self.values: list[Any] = []
        """All values, when last found unchanged."""
        self.functions: dict[str, FunctionType] = {}
        """The attributes that are Python functions."""
        self.insides: dict[str, tuple[list[str], list[FunctionType], list[Any]]] = {
            key: ([], [], []) for key in _INSIDE
        }
        """For `__code__` and so on: the names of functions that have one, the functions, and the original values."""

    def update(self) -> None:
        """Add modules imported since the last update."""
        if len(sys.modules) == self.modules:
            return
        known = [self]
        if self._beside is not None:
            self._beside.update()
            known.append(self._beside)
        seen = {id(one) for each in known for one in (*each.owners.values(), *each.functions.values())}
        for name, owner, with_constants in watched(of_jobs=self._beside is not None):
            if id(owner) in seen or name in self.owners:
                continue
            seen.add(id(owner))
            self.owners[name] = owner
            self.attributes.append(dict(vars(owner)))
            self.attributes_now.append(vars(owner))
            if with_constants:
                self.with_constants.add(name)
            for path, function in _functions(name, vars(owner)):
                if id(function) not in seen:
                    seen.add(id(function))
                    self._add_function(path, function)
        self.modules = len(sys.modules)

    def values_now(self) -> list[Any]:
        """Return the current values of all attributes, which takes a third less time than to compare them by name."""
        return list(chain.from_iterable([attributes.values() for attributes in self.attributes_now]))

    def _add_function(self, path: str, function: FunctionType) -> None:
        self.functions[path] = function
        for part, (paths, functions, values) in self.insides.items():
            # Defaults added to a function without any have no effect: its callers pass every argument.
            if (value := getattr(function, part)) is not None:
                paths.append(path)
                functions.append(function)
                values.append(dict(value) if isinstance(value, dict) else value)


def _patched(originals: _Originals) -> dict[str, Any]:
    """Return replaced functions and constants, and changed parts of original functions, by name."""
    originals.update()
    return _replaced(originals) | _changed_inside(originals)


def _replaced(originals: _Originals) -> dict[str, Any]:
    found: dict[str, Any] = {}
    values = originals.values_now()
    if _equal(originals.values, values):
        return found
    for (name, owner), before in zip(originals.owners.items(), originals.attributes, strict=True):
        now = vars(owner)
        if _equal(before, now):
            continue
        inherited = _inherited(owner)
        for key in [*before, *(inherited.keys() & now.keys() - before.keys())]:
            if f"{name}.{key}" == "torch.Storage":
                continue  # it follows the default dtype
            old, new = before.get(key, inherited.get(key)), now.get(key, _NOTHING)
            if new is not old and (
                (_is_code(old) and not _wraps_its_own(old, new))
                or (name in originals.with_constants and _is_constant(key, old) and not _equal(old, new))
            ):
                found[f"{name}.{key}"] = new
        # Submodules and caches come and go.
        for key in before.keys() - now.keys():
            if f"{name}.{key}" not in found:
                del before[key]
        before |= {key: value for key, value in now.items() if f"{name}.{key}" not in found}
    if not found:
        originals.values = values
    return found


def _changed_inside(originals: _Originals) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for part, (paths, functions, before) in originals.insides.items():
        now = list(map(attrgetter(part), functions))
        if not _equal(now, before):
            changed = [(path, new) for path, new, old in zip(paths, now, before, strict=True) if not _equal(new, old)]
            found |= {f"{path}.{part}": dict(new) if isinstance(new, dict) else new for path, new in changed}
    return found


def _is_code(value: Any) -> bool:
    return callable(value) or isinstance(value, ModuleType) or hasattr(type(value), "__get__")  # a property, for one


def _is_constant(key: str, value: Any) -> bool:
    kind = type(value)
    is_named_as_one = not key.startswith("_") or key.strip("_").isupper()
    return is_named_as_one and (kind in _PLAIN or f"{kind.__module__}.{kind.__qualname__}" in _PLAIN_NAMES)


def _inherited(owner: Any) -> dict[str, Any]:
    """Return the inherited attributes of a class; none for a module."""
    bases = owner.__mro__[:0:-1] if isinstance(owner, type) else ()
    return {key: value for base in bases for key, value in vars(base).items()}


def _wraps_its_own(before: Any, now: Any) -> bool:
    """Whether torch has wrapped one of its own functions, which changes no number."""
    module = f"{getattr(now, '__globals__', {}).get('__name__', '')}."
    if module == "torch._dynamo.mutation_guard.":
        return True  # it wraps functions to count created modules
    return any(module.startswith(f"{name}.") for name in _OWN_WRAPPERS) and inspect.unwrap(now) is inspect.unwrap(
        before
    )


def _equal(one: Any, other: Any) -> bool:
    try:
        return bool(one == other)  # compares identities first
    except Exception:  # noqa: BLE001 - arrays of two values have no truth
        return False


def _functions(name: str, attributes: Mapping[str, Any]) -> Iterator[tuple[str, FunctionType]]:
    for key, value in attributes.items():
        # By type: an attribute of any object may be computed, as that of torch's caches, which ask the GPU.
        if isinstance(value, property):
            function: Any = value.fget
        else:
            function = value.__func__ if isinstance(value, classmethod | staticmethod | MethodType) else value
        # A decorator refers to the wrapped function, whose defaults count.
        path = f"{name}.{key}"
        while isinstance(function, FunctionType):
            yield path, function
            function, path = function.__dict__.get("__wrapped__"), f"{path}.__wrapped__"


def _put_patched(originals: _Originals, before: Mapping[str, Any]) -> None:
    first = {
        f"{path}.{part}": value
        for part, (paths, _, values) in originals.insides.items()
        for path, value in zip(paths, values, strict=True)
    }
    attributes = dict(zip(originals.owners, originals.attributes, strict=True))
    for path in _patched(originals):
        name, _, key = path.rpartition(".")
        inside = path in first
        owner = originals.functions[name] if inside else originals.owners[name]
        value = before.get(path, first[path] if inside else attributes[name].get(key, _NOTHING))
        # One that cannot be put back is left, and does not keep the others from it.
        with contextlib.suppress(AttributeError, TypeError, ValueError):
            if value is _NOTHING:
                delattr(owner, key)
            else:
                # A copy, because the original could be modified in place.
                setattr(owner, key, dict(value) if inside and isinstance(value, dict) else value)


def _part(originals: _Originals, *, of_jobs: bool) -> Part:
    get, put = partial(_patched, originals), partial(_put_patched, originals)
    return Part(name="the attribute", get=get, put=put, first={}, of_jobs=of_jobs)


_of_calls = _Originals()
PARTS = (_part(_of_calls, of_jobs=False), _part(_Originals(_of_calls), of_jobs=True))
