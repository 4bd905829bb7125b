"""Functions of Python, numpy and torch that were replaced: a part of the state of a process."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Mapping
from operator import attrgetter
from types import FunctionType, ModuleType
from typing import Any

from ltbench.core.state_part import Part

PATCHABLE = (
    "builtins", "math", "random", "time", "numpy", "numpy.random", "numpy.linalg", "torch", "torch.linalg",
    "torch.special", "torch.fft", "torch.random", "torch.autograd", "torch.nn.functional", "torch.nn.init",
)  # fmt: skip
"""Modules whose functions are compared with the original ones."""
PATCHABLE_PACKAGES = ("torch.nn", "torch.optim", "torch.amp")
"""Packages, likewise, with their imported modules, their classes, and base classes elsewhere in torch."""
_NOT_PATCHABLE = ("torch.nn.attention", "torch.nn.backends", "torch.nn.intrinsic", "torch.nn.parallel", "torch.nn.qat",
                  "torch.nn.quantizable", "torch.nn.quantized")  # fmt: skip
"""Parts of them that trainings do not call, and that would double the cost of the comparison."""
_OWN_WRAPPERS = ("torch.optim.optimizer", "torch._dynamo", "torch._compile")
"""Modules that wrap methods of torch: `step` for the first optimiser of a class, others at the first compile."""
_INSIDE = ("__code__", "__defaults__", "__kwdefaults__")
_PREFIXES = tuple(f"{package}." for package in PATCHABLE_PACKAGES)
_IMMUTABLE = 1 << 8
"""Py_TPFLAGS_IMMUTABLETYPE of CPython: the attributes of such a class cannot be set."""
_NOTHING = object()


class _Originals:
    """The watched modules and classes, and their attributes when first seen.

    Parallel lists, so that a single fast comparison of two lists shows that nothing has changed.
    """

    def __init__(self) -> None:
        self.modules = 0
        """Number of imported modules at the last update."""
        self.owners: dict[str, Any] = {}
        self.attributes: list[dict[str, Any]] = []
        self.attributes_now: list[Mapping[str, Any]] = []
        """Not copies, but the current attributes of each owner."""
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
        seen = set(map(id, (*self.owners.values(), *self.functions.values())))
        for name, owner in _owners():
            if id(owner) in seen or name in self.owners:
                continue
            seen.add(id(owner))
            self.owners[name] = owner
            self.attributes.append(dict(vars(owner)))
            self.attributes_now.append(vars(owner))
            for path, function in _functions(name, vars(owner)):
                if id(function) not in seen:
                    seen.add(id(function))
                    self._add_function(path, function)
        self.modules = len(sys.modules)

    def _add_function(self, path: str, function: FunctionType) -> None:
        self.functions[path] = function
        for part, (paths, functions, values) in self.insides.items():
            # Defaults added to a function without any have no effect: its callers pass every argument.
            if (value := getattr(function, part)) is not None:
                paths.append(path)
                functions.append(function)
                values.append(dict(value) if isinstance(value, dict) else value)


_originals = _Originals()


def _patched() -> dict[str, Any]:
    """Return replaced functions, and changed parts of original functions, by name."""
    _originals.update()
    return _replaced() | _changed_inside()


def _replaced() -> dict[str, Any]:
    found: dict[str, Any] = {}
    if _equal(_originals.attributes, _originals.attributes_now):
        return found
    for (name, owner), before in zip(_originals.owners.items(), _originals.attributes, strict=True):
        now = vars(owner)
        if _equal(before, now):
            continue
        inherited = _inherited(owner)
        for key in [*before, *(inherited.keys() & now.keys() - before.keys())]:
            if f"{name}.{key}" == "torch.Storage":
                continue  # it follows the default dtype
            old, new = before.get(key, inherited.get(key)), now.get(key, _NOTHING)
            if new is not old and _is_code(old) and not _wraps_its_own(old, new):
                found[f"{name}.{key}"] = new
        # Submodules and caches come and go.
        for key in before.keys() - now.keys():
            if f"{name}.{key}" not in found:
                del before[key]
        before |= {key: value for key, value in now.items() if f"{name}.{key}" not in found}
    return found


def _changed_inside() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for part, (paths, functions, before) in _originals.insides.items():
        now = list(map(attrgetter(part), functions))
        if not _equal(now, before):
            changed = [(path, new) for path, new, old in zip(paths, now, before, strict=True) if not _equal(new, old)]
            found |= {f"{path}.{part}": dict(new) if isinstance(new, dict) else new for path, new in changed}
    return found


def _is_code(value: Any) -> bool:
    return callable(value) or isinstance(value, ModuleType) or hasattr(type(value), "__get__")  # a property, for one


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


def _owners() -> Iterator[tuple[str, Any]]:
    """Yield the imported modules and classes to watch, by their shortest name."""
    names = dict.fromkeys((*PATCHABLE, *PATCHABLE_PACKAGES, *sorted(filter(_is_in_package, sys.modules))))
    modules = {name: sys.modules[name] for name in names if name in sys.modules}
    yield from modules.items()
    if torch := modules.get("torch"):
        yield "torch.Tensor", torch.Tensor
    if random := modules.get("random"):
        yield "random.Random", random.Random
    bases: dict[str, type] = {}
    for name in filter(_is_in_package, modules):
        for key, kind in list(vars(modules[name]).items()):
            if isinstance(kind, type) and _is_in_package(kind.__module__):
                yield f"{name}.{key}", kind
                bases |= {f"{base.__module__}.{base.__qualname__}": base for base in kind.__mro__}
    yield from ((n, base) for n, base in bases.items() if n.startswith("torch.") and not base.__flags__ & _IMMUTABLE)


def _is_in_package(module: str) -> bool:
    return f"{module}.".startswith(_PREFIXES) and not module.startswith(_NOT_PATCHABLE)


def _functions(name: str, attributes: Mapping[str, Any]) -> Iterator[tuple[str, FunctionType]]:
    for key, value in attributes.items():
        function = getattr(value, "fget", value) if isinstance(value, property) else getattr(value, "__func__", value)
        # A decorator refers to the wrapped function, whose defaults count.
        path = f"{name}.{key}"
        while isinstance(function, FunctionType):
            yield path, function
            function, path = function.__dict__.get("__wrapped__"), f"{path}.__wrapped__"


def _put_patched(before: Mapping[str, Any]) -> None:
    first = {
        f"{path}.{part}": value
        for part, (paths, _, values) in _originals.insides.items()
        for path, value in zip(paths, values, strict=True)
    }
    attributes = dict(zip(_originals.owners, _originals.attributes, strict=True))
    for path in _patched():
        name, _, key = path.rpartition(".")
        if path in first:
            value = before.get(path, first[path])
            # A copy, because the original could be modified in place.
            setattr(_originals.functions[name], key, dict(value) if isinstance(value, dict) else value)
            continue
        value = before.get(path, attributes[name].get(key, _NOTHING))
        if value is _NOTHING:
            delattr(_originals.owners[name], key)
        else:
            setattr(_originals.owners[name], key, value)


PART = Part(name="the function", get=_patched, put=_put_patched, first={})
