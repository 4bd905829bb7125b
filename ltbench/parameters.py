"""Hyper-parameters as a reader wants to see them: type, allowed range, default, meaning."""

from __future__ import annotations

import types
import typing
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec

from ltbench.technique import Parametrized, fields, written


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """One parameter of a technique, or of an executor."""

    name: str
    allowed: str
    default: str
    about: str


def parameters(kind: type[Parametrized]) -> list[Parameter]:
    """Return the parameters of a technique, or of what is written like one, in the order of their declaration."""
    plain = kind()
    return [
        Parameter(
            name=field.name,
            allowed=allowed(field.type),
            default=written(getattr(plain, field.name)),
            about=_about(field.type),
        )
        for field in fields(kind)
    ]


def allowed(kind: Any) -> str:
    """Return a type with its range in words: `float >= 0`, `mean | vote`, `int or none`."""
    origin = get_origin(kind)
    if origin is Annotated:
        base, *metas = get_args(kind)
        limits = [text for meta in metas if isinstance(meta, msgspec.Meta) for text in _limits(meta)]
        return " ".join([allowed(base), " and ".join(limits)]).strip()
    if origin is Literal:
        return " | ".join(str(value) for value in get_args(kind))
    if origin in {typing.Union, types.UnionType}:
        return " or ".join(allowed(part) for part in get_args(kind))
    if origin is tuple:
        return f"list of {allowed(get_args(kind)[0])}"
    if kind is type(None):
        return "none"
    return getattr(kind, "__name__", str(kind))


def _limits(meta: msgspec.Meta) -> list[str]:
    signs = (("ge", ">="), ("gt", ">"), ("le", "<="), ("lt", "<"))
    limits = [f"{sign} {written(value)}" for name, sign in signs if (value := getattr(meta, name)) is not None]
    if meta.min_length is not None:
        limits.append(f"with at least {meta.min_length}")
    if meta.pattern is not None:
        limits.append(f"like {meta.pattern}")
    return limits


def _about(kind: Any) -> str:
    if get_origin(kind) is Annotated:
        return next((m.description for m in get_args(kind)[1:] if isinstance(m, msgspec.Meta) and m.description), "")
    return next((about for part in get_args(kind) if (about := _about(part))), "")
