"""Functions of Python, numpy and torch that something has replaced: a part of the state of a process."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from typing import Any

from ltbench.core.state_part import Part

PATCHABLE = (
    "builtins", "math", "random", "time", "numpy", "numpy.random", "numpy.linalg", "torch", "torch.linalg",
    "torch.special", "torch.fft", "torch.nn.functional", "torch.nn.init", "torch.random", "torch.autograd",
)  # fmt: skip
"""Modules whose functions are compared with those that they had at first."""
PATCHABLE_CLASSES = (
    ("torch", "Tensor"), ("torch.nn", "Module"), ("torch.nn", "Linear"), ("torch.nn", "Conv2d"),
    ("torch.nn", "BatchNorm2d"), ("torch.optim", "SGD"), ("torch.optim", "AdamW"),
)  # fmt: skip
"""Classes whose methods are compared, likewise."""
_OWN_WRAPPERS = ("torch.optim.optimizer", "torch._dynamo", "torch._compile")
"""Modules of torch that wrap methods of torch: `step` at the first optimiser of a class, others at the first compile."""
_NOTHING = object()
_original: dict[str, dict[str, Any]] = {}
"""The attributes of each module and class as they were when it was first looked at."""


def _patched() -> dict[str, Any]:
    """Return the functions that are not the original ones, by their names."""
    found: dict[str, Any] = {}
    for name, owner in _owners().items():
        now = vars(owner)
        before = _original.get(name)
        if before is None:
            _original[name] = dict(now)
        elif not _identical(before, now):
            inherited = _inherited(owner)
            for key in [*before, *(inherited.keys() & now.keys() - before.keys())]:
                if f"{name}.{key}" == "torch.Storage":
                    continue  # it follows the default dtype
                old, new = before.get(key, inherited.get(key)), now.get(key, _NOTHING)
                if callable(old) and new is not old and not _wraps_its_own(old, new):
                    found[f"{name}.{key}"] = new
            # Submodules and caches come and go.
            before |= {key: value for key, value in now.items() if f"{name}.{key}" not in found}
    return found


def _inherited(owner: Any) -> dict[str, Any]:
    """Return the attributes that a class has from its bases; none for a module."""
    bases = owner.__mro__[:0:-1] if isinstance(owner, type) else ()
    return {key: value for base in bases for key, value in vars(base).items()}


def _wraps_its_own(before: Any, now: Any) -> bool:
    """Whether torch has wrapped a function of its own, which changes no number."""
    module = f"{getattr(now, '__globals__', {}).get('__name__', '')}."
    if module == "torch._dynamo.mutation_guard.":
        return True  # it counts the modules that are made, in functions without a trace of those that they call
    return any(module.startswith(f"{name}.") for name in _OWN_WRAPPERS) and inspect.unwrap(now) is inspect.unwrap(
        before
    )


def _identical(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    try:
        return bool(before == now)  # compares identities first, at the speed of C
    except Exception:  # noqa: BLE001 - arrays of two values have no truth
        return False


def _owners() -> dict[str, Any]:
    owners: dict[str, Any] = {name: sys.modules[name] for name in PATCHABLE if name in sys.modules}
    for module, name in PATCHABLE_CLASSES:
        if owner := getattr(sys.modules.get(module), name, None):
            owners[f"{module}.{name}"] = owner
    return owners


def _put_patched(before: Mapping[str, Any]) -> None:
    owners = _owners()
    for path in _patched():
        name, _, key = path.rpartition(".")
        value = before.get(path, _original[name].get(key, _NOTHING))
        if value is _NOTHING:
            delattr(owners[name], key)
        else:
            setattr(owners[name], key, value)


PART = Part(name="the function", get=_patched, put=_put_patched, first={})
