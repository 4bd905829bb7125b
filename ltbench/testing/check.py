"""A check of techniques, and how often it runs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

import msgspec

Per = Literal["technique", "setting", "size", "parameter"]


class Check(msgspec.Struct, frozen=True):
    """A requirement on techniques: a function that raises `CheckFailed` if it is violated."""

    name: str
    per: Per
    """Whether it runs once, or for each setting of the parameters, number of classes, or parameter."""
    run: Callable[..., None]
    """Gets the subject; for `size` also the number of classes, for `parameter` also its name."""

    @property
    def requirement(self) -> str:
        """The requirement in one sentence."""
        return (self.run.__doc__ or "").strip().split("\n")[0]


def _check(per: Per, function: Callable[..., None]) -> Check:
    return Check(function.__name__, per, function)


per_technique = partial(_check, "technique")
"""Create a check that runs once, with the first setting."""
per_setting = partial(_check, "setting")
"""Create a check that runs with every setting of the parameters."""
per_size = partial(_check, "size")
"""Create a check that runs with few and with many classes."""
per_parameter = partial(_check, "parameter")
"""Create a check that runs once for each parameter."""
