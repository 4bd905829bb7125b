"""Quantities with units on the command line: durations, sizes."""

from __future__ import annotations

import re
from typing import Any

import click

_SPAN = re.compile(r"(?P<number>\d+(\.\d+)?)(?P<unit>[smhd])\Z")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SIZE = re.compile(r"(?P<number>\d+(\.\d+)?) ?(?P<unit>[kmgt]i?b)\Z", re.IGNORECASE)
_BYTES = {f"{prefix}b": 1000**power for power, prefix in enumerate("kmgt", 1)}
_BYTES |= {f"{prefix}ib": 1024**power for power, prefix in enumerate("kmgt", 1)}


class Span(click.ParamType[float]):
    """A duration such as 90s, 10m, 1.5h or 2d; in seconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        match = _SPAN.match(str(value))
        if match is None or float(match["number"]) <= 0:
            self.fail(f"'{value}' is not a duration such as 90s, 10m, 1.5h or 2d", param, ctx)
        return float(match["number"]) * _SECONDS[match["unit"]]


class Size(click.ParamType[int]):
    """A size such as 500MB, 4GB or 1.5GiB; in bytes."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        match = _SIZE.match(str(value))
        size = 0 if match is None else int(float(match["number"]) * _BYTES[match["unit"].lower()])
        if size <= 0:
            self.fail(f"'{value}' is not a size such as 500MB, 4GB or 1.5GiB", param, ctx)
        return size
