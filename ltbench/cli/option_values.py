"""Values of options that come from Python or from a file, checked as those of the command line are."""

from __future__ import annotations

import numbers
import os
from collections.abc import Iterable, Mapping
from typing import Any

import click

from ltbench.cli.units import Size, Span


def option_value(option: click.Parameter, value: object) -> Any:
    """Return a value as the command gets it, a tuple for an option that may be repeated. Raises `click.BadParameter` or `UsageError`."""
    if not getattr(option, "multiple", False):
        return _converted(option, value)
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        value = (value,)
    return tuple(_converted(option, each) for each in value)


def _converted(option: click.Parameter, value: Any) -> Any:
    kind = option.type
    given = os.fspath(value) if isinstance(value, os.PathLike) else value
    if isinstance(kind, click.types.BoolParamType):
        return kind.convert(given if isinstance(given, str) else value, option, None)
    is_number = isinstance(given, numbers.Real) and not isinstance(given, bool)
    if isinstance(kind, click.Path):
        if not isinstance(given, str) or not given:
            raise click.BadParameter(f"{value!r} is no path.")
        given = os.path.expanduser(given)  # noqa: PTH111 - which stops without a home
    elif is_number and not isinstance(kind, Span | Size):
        given = str(given)  # click cuts 1.5 to an integer, and refuses '1.5'
    elif not is_number and not isinstance(given, str):
        raise click.BadParameter(f"{value!r} is neither text nor a number.")
    return kind.convert(given, option, None)
