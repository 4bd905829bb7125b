"""The base class of techniques: a frozen value whose fields are its hyper-parameters.

`Parametrized` is the base of everything in this notation, executors with their options included.
"""

from __future__ import annotations

import contextlib
import math
import types
import typing
from collections.abc import Collection, Mapping
from functools import cache
from typing import Annotated, Any, ClassVar, Literal, Self, get_args, get_origin

import msgspec

from ltbench.errors import ParameterError, did_you_mean


@cache
def fields(kind: type[msgspec.Struct]) -> tuple[msgspec.structs.FieldInfo, ...]:
    """Return the fields of a struct; cached, as resolving annotations takes half a millisecond."""
    return msgspec.structs.fields(kind)


class Parametrized(msgspec.Struct, frozen=True, kw_only=True):
    """Something with a name and parameters as fields, written `name` or `name[parameter=value]`.

    Construction validates fields against their annotations (`Annotated[float, Meta(ge=0)]`). An invalid value raises
    `ParameterError` with name, field, value and allowed range.
    """

    name: ClassVar[str]
    stage: ClassVar[str]
    """The stage of a technique, or the kind of anything else."""
    qualified: ClassVar[str] = ""
    """`distribution/name` where several distributions offer the name; set by the registry."""

    def __post_init__(self) -> None:
        problems = []
        for field in fields(type(self)):
            value = getattr(self, field.name)
            try:
                value = msgspec.convert(value, field.type)
                if isinstance(value, float) and not math.isfinite(value):
                    raise msgspec.ValidationError("Expected a finite number")
            except msgspec.ValidationError as error:
                problems.append((field, f"{field.name} = {value!r}: {_plain(str(error))}"))
            else:
                msgspec.structs.force_setattr(self, field.name, value)
        if problems:
            ranges = ", ".join(f"{field.name}: {allowed(field.type)}" for field, _ in problems)
            raise ParameterError(
                f"{self.stage} '{self.name}' does not accept " + "; ".join(problem for _, problem in problems),
                fix=f"{ranges} (ltbench show {self.name})",
            )
        self.check()
        off = self.without_effect()
        for field in fields(type(self)):
            if field.name in off:
                msgspec.structs.force_setattr(self, field.name, _default(field))

    def check(self) -> None:
        """Raise `ParameterError` for invalid combinations of fields; overridden where there are any."""

    def without_effect(self) -> Collection[str]:
        """Return the names of parameters that cannot matter beside the values of others; overridden where there are any.

        They are set to their defaults, so that the same numbers have one identity: `label_smooth[eps=0,off=k]` is
        `label_smooth[eps=0]`.
        """
        return ()

    @classmethod
    def parse(cls, params: Mapping[str, object]) -> Self:
        """Construct from names and values; values may be strings of a command line."""
        known = {field.name: field for field in fields(cls)}
        values: dict[str, object] = {}
        for key, raw in params.items():
            if key not in known:
                fix = did_you_mean(key, known, f"its parameters: {', '.join(known) or 'none'}")
                raise ParameterError(f"{cls.stage} '{cls.name}' has no parameter '{key}'", fix=fix)
            value = raw
            if isinstance(raw, str):
                try:
                    value = msgspec.convert(raw, known[key].type, strict=False)
                except msgspec.ValidationError:
                    # A list is written a+b+c on a command line; construction refuses what is neither.
                    value = _from_list(raw, known[key].type)
            values[key] = value
        return cls(**values)

    @property
    def params(self) -> dict[str, object]:
        """The parameters that differ from their defaults, by name, as plain JSON values."""
        values: dict[str, object] = {}
        for field in fields(type(self)):
            value = getattr(self, field.name)
            if value != _default(field):
                values[field.name] = msgspec.to_builtins(value)
        return dict(sorted(values.items()))

    @property
    def label(self) -> str:
        """The notation on a command line: `focal` or `focal[gamma=1.5]`."""
        params, name = self.params, self.qualified or self.name
        if not params:
            return name
        return f"{name}[{','.join(f'{k}={written(v)}' for k, v in params.items())}]"


class Technique(Parametrized, frozen=True, kw_only=True):
    """A technique: a name, a stage, hyper-parameters as fields, and its relations to other techniques."""

    baseline: ClassVar[bool] = False
    """Whether the stage uses this technique where a combination picks none."""
    revision: ClassVar[int] = 1
    """Raised by the author when the results of the technique change."""
    conflicts: ClassVar[Mapping[str, str]] = {}
    """Technique or stage name -> why this technique cannot be combined with it."""
    needs: ClassVar[Mapping[str, str]] = {}
    """Technique or stage name -> why this technique is pointless without it."""
    doubtful: ClassVar[Mapping[str, str]] = {}
    """Technique name -> note on the leaderboard for combinations of both, which still run."""


def _default(field: msgspec.structs.FieldInfo) -> object:
    return field.default_factory() if callable(field.default_factory) else field.default


def _plain(message: str) -> str:
    message = message.replace("`", "")
    return message[0].lower() + message[1:] if message else message


def _from_list(raw: str, kind: object) -> object:
    try:
        return msgspec.convert(raw.split("+"), kind, strict=False)
    except msgspec.ValidationError:
        for number in (int, float):
            with contextlib.suppress(ValueError):
                return number(raw)
        return raw


def written(value: object) -> str:
    """Return the notation of a value on a command line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return "+".join(written(v) for v in value)
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    return str(value)


def allowed(kind: Any) -> str:
    """Describe a type with its range: `float >= 0`, `mean | vote`, `int or none`."""
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
