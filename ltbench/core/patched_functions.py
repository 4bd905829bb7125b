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
            inherited = set(dir(owner.__base__)) if isinstance(owner, type) else set()
            for key in [*before, *(inherited & now.keys() - before.keys())]:
                if f"{name}.{key}" == "torch.Storage":
                    continue  # it follows the default dtype
                old, new = before.get(key, _NOTHING), now.get(key, _NOTHING)
                if (callable(old) or old is _NOTHING) and new is not old and not _wraps_its_own(name, old, new):
                    found[f"{name}.{key}"] = new
            # Submodules and caches come and go.
            before |= {key: value for key, value in now.items() if f"{name}.{key}" not in found}
    return found


def _wraps_its_own(owner: str, before: Any, now: Any) -> bool:
    """Whether a library has wrapped a function of its own, as torch does where its compiler is imported first."""
    package = getattr(now, "__globals__", {}).get("__name__", "").partition(".")[0]
    return package == owner.partition(".")[0] and inspect.unwrap(now) is inspect.unwrap(before)


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
