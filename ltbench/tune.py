"""What is worth tuning of a technique: the values of each parameter that are tried, declared beside its range.

gamma: Annotated[float, Meta(ge=0, description="..."), Tune(0.5, 4.0)] = 2.0
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from ltbench.errors import UsageError
from ltbench.technique import Parametrized, fields

_DIGITS = 3
"""Significant digits of a tuned number, so that labels stay short."""


class Tune:
    """The values of a parameter that are worth trying: `Tune(0.5, 4)`, `Tune(0.001, 0.1, log=True)`, `Tune("mean", "vote")`.

    Two numbers are the ends of a range, both included; of whole numbers, if the parameter is one. log: whether their
    logarithms are spread evenly. Words, or `True` and `False`, are alternatives. choices: alternatives that are numbers,
    where a range would spread them badly: `Tune(choices=(0.9, 0.99, 0.999))`.
    """

    def __init__(self, *values: float | str | bool, log: bool = False, choices: tuple[float, ...] = ()) -> None:
        self.values, self.log = values or choices, log
        self.is_range = not choices and all(_is_number(value) for value in values)
        if values and choices:
            raise UsageError(f"Tune takes values or choices, not both: {values} and {choices}",
                             fix="Tune(choices=(0.9, 0.99, 0.999))")  # fmt: skip
        if self.is_range:
            if len(values) != 2 or not -math.inf < values[0] < values[1] < math.inf or (log and values[0] <= 0):  # type: ignore[operator]
                raise UsageError(f"a range to tune has two ends, not {values}", why="the first one is the lower one, and above 0 with log=True",
                                 fix="Tune(0.5, 4.0)")  # fmt: skip
        elif len(set(self.values)) < max(len(self.values), 2) or log:
            raise UsageError(f"alternatives to tune are two or more, each once and without log, not {self.values}",
                             fix='Tune("mean", "vote")')  # fmt: skip

    def at(self, place: float, *, whole: bool = False) -> float | str | bool:
        """Return the value at a place in [0, 1]. whole: whether the parameter is an integer."""
        if not self.is_range:
            return self.values[min(int(place * len(self.values)), len(self.values) - 1)]
        least, most = (float(value) for value in self.values)
        if whole:
            # Each integer has a share of its own, also the two ends.
            first, last = math.ceil(least), math.floor(most)
            return min(max(round(self._between(first - 0.5, last + 0.5, place)), first), last)
        # Rounding can lead out of the range.
        return min(max(float(f"{self._between(least, most, place):.{_DIGITS}g}"), least), most)

    def _between(self, low: float, high: float, place: float) -> float:
        return low * (high / low) ** place if self.log else low + (high - low) * place

    def contains(self, value: object) -> bool:
        """Whether a value is one of those to try."""
        if not self.is_range:
            return value in self.values
        low, high = (float(end) for end in self.values)
        return isinstance(value, (int, float)) and _is_number(value) and low <= value <= high

    def __repr__(self) -> str:
        """Return how it is written."""
        if not self.is_range and all(_is_number(value) for value in self.values):
            return f"Tune(choices={self.values})"
        parts = [repr(value) for value in self.values]
        return f"Tune({', '.join([*parts, *(['log=True'] if self.log else [])])})"


class NotTuned:
    """Says why a parameter that has a range is not tuned: `NotTuned("the number of members decides the cost")`."""

    def __init__(self, why: str) -> None:
        self.why = why


def declared(kind: Any) -> Tune | NotTuned | None:
    """Return what the type of a parameter says about tuning."""
    if get_origin(kind) is Annotated:
        base, *metas = get_args(kind)
        return next((one for one in metas if isinstance(one, (Tune, NotTuned))), None) or declared(base)
    return next((found for part in _alternatives(kind) if (found := declared(part)) is not None), None)


def tuned_parameters(kind: type[Parametrized]) -> Mapping[str, Tune]:
    """Return the parameters of a technique that are worth tuning, in the order of their declaration."""
    found = ((field.name, declared(field.type)) for field in fields(kind))
    return {name: tune for name, tune in found if isinstance(tune, Tune)}


def is_whole(kind: type[Parametrized], parameter: str) -> bool:
    """Whether a parameter is an integer."""
    return _has(int, next(field.type for field in fields(kind) if field.name == parameter))


def has_range(kind: Any) -> bool:
    """Whether the type of a parameter is a number, so that values between others are possible."""
    return _has(int, kind) or _has(float, kind)


def _has(number: type, kind: Any) -> bool:
    return kind is number or any(_has(number, part) for part in _alternatives(kind))


def _alternatives(kind: Any) -> tuple[Any, ...]:
    # The elements of a list are no points of a range.
    return get_args(kind) if get_origin(kind) in {Annotated, Union, UnionType} else ()


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
