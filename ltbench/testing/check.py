"""A check of techniques, and how often it runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from ltbench.testing.subject import Subject


Per = Literal["technique", "setting", "size", "parameter"]


class Check(msgspec.Struct, frozen=True):
    """A requirement on techniques: a function that raises `CheckFailed` where it is violated."""

    name: str
    per: Per
    """Whether it runs once, for each setting of the parameters, each number of classes, or each parameter."""
    run: Callable[..., None]
    """Gets the subject; with `size` also the number of classes, with `parameter` also its name."""

    @property
    def requirement(self) -> str:
        """The requirement in one sentence."""
        return (self.run.__doc__ or "").strip().split("\n")[0]


def per_technique(function: Callable[[Subject], None]) -> Check:
    """Make a check that runs once, with the first setting."""
    return Check(function.__name__, "technique", function)


def per_setting(function: Callable[[Subject], None]) -> Check:
    """Make a check that runs with every setting of the parameters."""
    return Check(function.__name__, "setting", function)


def per_size(function: Callable[[Subject, int], None]) -> Check:
    """Make a check that runs with few classes and with many."""
    return Check(function.__name__, "size", function)


def per_parameter(function: Callable[[Subject, str], None]) -> Check:
    """Make a check that runs once for each parameter."""
    return Check(function.__name__, "parameter", function)
