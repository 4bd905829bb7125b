"""Help for hyper-parameters: type, range, default, meaning."""

from __future__ import annotations

from typing import Annotated, Any, get_args, get_origin

import msgspec

from ltbench.technique import Parametrized, allowed, fields, written
from ltbench.tune import Tune, tuned_parameters


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """One parameter of a technique or option of an executor."""

    name: str
    allowed: str
    default: str
    about: str
    tuned: str = ""
    """The values that are worth tuning; empty if none are."""


def parameters(kind: type[Parametrized]) -> list[Parameter]:
    """Return the parameters of a technique or executor in order of declaration."""
    plain, tuned = kind(), tuned_parameters(kind)
    return [
        Parameter(
            name=field.name,
            allowed=allowed(field.type),
            default=written(getattr(plain, field.name)),
            about=_about(field.type),
            tuned=_tuned(tuned.get(field.name)),
        )
        for field in fields(kind)
    ]


def _tuned(tune: Tune | None) -> str:
    if tune is None:
        return ""
    shown = map(written, tune.values)
    return " to ".join(shown) + " (log)" * tune.log if tune.is_range else " | ".join(shown)


def _about(kind: Any) -> str:
    if get_origin(kind) is Annotated:
        return next((m.description for m in get_args(kind)[1:] if isinstance(m, msgspec.Meta) and m.description), "")
    return next((about for part in get_args(kind) if (about := _about(part))), "")
