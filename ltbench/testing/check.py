"""What a check is, and how often it is tried."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from ltbench.testing.subject import Subject


Per = Literal["technique", "setting", "size", "parameter"]


class Check(msgspec.Struct, frozen=True):
    """A demand on techniques: a function that raises `CheckFailed` where it is not met."""

    name: str
    per: Per
    """Whether it is tried once, with each setting of the parameters, each number of classes, or for each parameter."""
    run: Callable[..., None]
    """Given the subject, and with `size` the number of classes, with `parameter` the name of one."""

    @property
    def demand(self) -> str:
        """What it demands, in one sentence."""
        return (self.run.__doc__ or "").strip().split("\n")[0]


def per_technique(function: Callable[[Subject], None]) -> Check:
    """Make a check that is tried once, with the first setting."""
    return Check(function.__name__, "technique", function)


def per_setting(function: Callable[[Subject], None]) -> Check:
    """Make a check that is tried with every setting of the parameters."""
    return Check(function.__name__, "setting", function)


def per_size(function: Callable[[Subject, int], None]) -> Check:
    """Make a check that is tried with few classes and with many."""
    return Check(function.__name__, "size", function)


def per_parameter(function: Callable[[Subject, str], None]) -> Check:
    """Make a check that is tried once for each parameter."""
    return Check(function.__name__, "parameter", function)
