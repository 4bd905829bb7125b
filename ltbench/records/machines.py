"""Types of machines: properties that may change the last bits of a number, and so the result of a training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

# Core count and memory are not among them, because the threads per job are fixed.
_TYPE: Final = ("device", "processor", "processor_model", "instructions", "capability", "platform", "torch", "numpy")
UNKNOWN: Final = "unknown"


def machine_type(environment: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the key of a machine's type."""
    return tuple(environment.get(key) for key in _TYPE)


def unlike_machines(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    """Return the differences of two environments that may change numbers, such as `torch 2.5 / 2.6`.

    A property that only one of them states counts as a difference: "AMD EPYC" names five generations, whose trainings
    of one cell differ by as much as two seeds.
    """
    return [
        f"{key.replace('_', ' ')} {first.get(key, UNKNOWN)} / {second.get(key, UNKNOWN)}"
        for key in _TYPE
        if first.get(key) != second.get(key)
    ]
