"""Test values for parameters, derived from their types and ranges."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec

from ltbench.errors import LtbenchError
from ltbench.technique import Technique, fields

_LEFT_OUT = {"pretrained": "pretrained weights may need a network connection"}
"""Parameters that are not varied, with the reason."""


def why_not_varied(technique: Technique, parameter: str) -> str:
    """Return why a parameter is not varied; empty if it is."""
    if technique.stage == "dataset":
        return "other values may read other files"
    if parameter in _LEFT_OUT:
        return _LEFT_OUT[parameter]
    if variations(technique, parameter):
        return ""
    if parameter in technique.without_effect():
        return "it has no effect beside the defaults of the others"
    return "no other valid value can be derived; pass instances: checks(MyTechnique(...))"


def settings(technique: Technique) -> list[Technique]:
    """Return the technique and up to two variants for each parameter, preferably at the ends of its range."""
    others = [other for field in fields(type(technique)) for other in variations(technique, field.name)[:2]]
    return [technique, *others]


def variations(technique: Technique, parameter: str) -> list[Technique]:
    """Return the technique with other valid values of one parameter."""
    if parameter in _LEFT_OUT or technique.stage == "dataset":
        return []
    kind = next(field.type for field in fields(type(technique)) if field.name == parameter)
    now = getattr(technique, parameter)
    others: list[Technique] = []
    for value in values_of(kind, now):
        if value != now or type(value) is not type(now):
            try:
                other = msgspec.structs.replace(technique, **{parameter: value})
            except LtbenchError:
                continue
            if getattr(other, parameter) != now and other not in others:
                others.append(other)
    return others


def values_of(kind: Any, now: object) -> Iterator[object]:
    """Yield values of a type other than `now`, the ends of its range first; some may be out of range."""
    origin = get_origin(kind)
    if origin is Annotated:
        base, *metas = get_args(kind)
        for meta in metas:
            if isinstance(meta, msgspec.Meta):
                yield from (end for end in (meta.ge, meta.le) if end is not None)
        yield from values_of(base, now)
    elif origin is Literal:
        yield from get_args(kind)
    elif origin is tuple:
        first = now[0] if isinstance(now, tuple) and now else None
        yield from ((value,) for value in values_of(get_args(kind)[0], first))
    elif origin in {typing.Union, types.UnionType}:
        for part in get_args(kind):
            yield from values_of(part, now)
    elif kind is bool:
        yield from (True, False)
    elif kind is int:
        whole = now if isinstance(now, int) else 1
        yield from (whole + 1, 2 * whole + 3, whole - 1)  # odd and even, because some values must divide others
    elif kind is float:
        start = now if isinstance(now, float) and now else 1.0
        yield from (start / 2, start * 2, 0.5)
