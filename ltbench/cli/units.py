"""Quantities with units on the command line: durations, sizes."""

from __future__ import annotations

import math
import numbers
import re
from typing import Any, TypedDict, cast

import click

from ltbench.errors import UsageError

_NUMBER = r"(?P<number>\d{1,15}(\.\d+)?)"
"""Of more digits nothing is spent, and at some number of them it is infinite."""
_SPAN = re.compile(_NUMBER + r"(?P<unit>[smhd])\Z")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SPENT = re.compile(_NUMBER + r" ?(?P<prefix>[kMG]?)(?P<unit>cells?|pass(es)?)\Z")
_THOUSANDS = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}
_SIZE = re.compile(_NUMBER + r" ?(?P<unit>[kmgt]i?b)\Z", re.IGNORECASE)
_BYTES = {f"{prefix}b": 1000**power for power, prefix in enumerate("kmgt", 1)}
_BYTES |= {f"{prefix}ib": 1024**power for power, prefix in enumerate("kmgt", 1)}


class Span(click.ParamType[float]):
    """A duration such as 90s, 10m, 1.5h or 2d; in seconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if 0 < (number := _number(value)) < math.inf:
            return number
        try:
            return seconds_of(str(value))
        except UsageError as error:
            self.fail(error.what, param, ctx)


def _number(value: object) -> float:
    """Return a number of Python or of a file; nan for the text of a shell."""
    return float(value) if isinstance(value, numbers.Real) else math.nan


def seconds_of(text: str) -> float:
    """Return the duration that a text says. Raises `UsageError`."""
    match = _SPAN.match(text)
    if match is None or float(match["number"]) <= 0:
        raise UsageError(f"'{text}' is not a duration such as 90s, 10m, 1.5h or 2d", fix="10m")
    return float(match["number"]) * _SECONDS[match["unit"]]


class Size(click.ParamType[int]):
    """A size such as 500MB, 4GB or 1.5GiB; in bytes."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if (number := _number(value)) > 0 and number.is_integer():
            return int(value)
        match = _SIZE.match(str(value))
        size = 0 if match is None else int(float(match["number"]) * _BYTES[match["unit"].lower()])
        if size <= 0:
            self.fail(f"'{value}' is not a size such as 500MB, 4GB or 1.5GiB", param, ctx)
        return size


class Spendable(TypedDict, total=False):
    """What a run may spend: one of these."""

    seconds: float
    cells: int
    passes: float


class Spending(click.ParamType[Spendable]):
    """A duration, a number of cells, or of passes: 10m, 100cells, 20Mpasses."""

    name = "amount"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Spendable:
        if isinstance(value, dict):
            return cast("Spendable", value)
        try:
            return spendable(str(value))
        except UsageError as error:
            self.fail(error.what, param, ctx)


def spendable(text: str) -> Spendable:
    """Return the amount that a text says. Raises `UsageError`."""
    if (span := _SPAN.match(text)) is not None and float(span["number"]) > 0:
        return Spendable(seconds=float(span["number"]) * _SECONDS[span["unit"]])
    match = _SPENT.match(text)
    number = 0.0 if match is None else float(match["number"]) * _THOUSANDS[match["prefix"]]
    if match is not None and match["unit"].startswith("pass") and number > 0:
        return Spendable(passes=number)
    if match is None or number < 1 or number != int(number):
        raise UsageError(f"'{text}' is no amount such as 10m, 100cells or 20Mpasses", fix="10m")
    return Spendable(cells=int(number))


def spending_text(spendable: Spendable) -> str:
    """Return a number of cells or passes as `Spending` reads it."""
    if "cells" in spendable:
        return f"{spendable['cells']}cells"
    return f"{spendable['passes']:f}".rstrip("0").rstrip(".") + "passes"
