"""The base class of techniques: a frozen value whose fields are its hyper-parameters.

`Parametrized` is the base of everything with this notation, including executors.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
import types
import typing
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache
from typing import Annotated, Any, ClassVar, Literal, Self, get_args, get_origin

import msgspec

from ltbench.errors import ParameterError, UsageError, did_you_mean, naming_the_technique

_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_BARE = re.compile(r'(?:[^\[\],"\x00-\x1f]|\[[^\[\]"\x00-\x1f]*\])+')
"""Text that needs no quotes: commas only inside balanced brackets."""


@cache
def fields(kind: type[msgspec.Struct]) -> tuple[msgspec.structs.FieldInfo, ...]:
    """Return the fields of a struct; cached, because resolving annotations takes half a millisecond."""
    return msgspec.structs.fields(kind)


class Parametrized(msgspec.Struct, frozen=True, kw_only=True):
    """An object with a name and parameters as fields, written `name` or `name[parameter=value]`.

    Construction validates fields against their annotations (`Annotated[float, Meta(ge=0)]`). An invalid value raises
    `ParameterError` with name, field, value and allowed range.
    """

    name: ClassVar[str]
    stage: ClassVar[str]
    """The stage of a technique, or another kind such as executor."""
    qualified: ClassVar[str] = ""
    """`distribution/name` if several distributions provide the name; set by the registry."""

    def __init_subclass__(cls) -> None:
        if "__post_init__" in cls.__dict__:
            cls.__post_init__ = naming_the_technique(cls.__post_init__)  # type: ignore[method-assign]

    @naming_the_technique
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
        """Raise `ParameterError` for invalid combinations of fields. Override if there are any."""

    def without_effect(self) -> Collection[str]:
        """Return the names of parameters that have no effect given the others. Override if there are any.

        They are set to their defaults, so that equal results have one identity: `label_smooth[eps=0,off=k]` is
        `label_smooth[eps=0]`.
        """
        return ()

    @classmethod
    def parse(cls, params: Mapping[str, object]) -> Self:
        """Construct from names and values; values may be command-line strings, where a `QuotedText` is always text."""
        known = {field.name: field for field in fields(cls)}
        values: dict[str, object] = {}
        for key, raw in params.items():
            if key not in known:
                fix = did_you_mean(key, known, f"its parameters: {', '.join(known) or 'none'}")
                raise ParameterError(f"{cls.stage} '{cls.name}' has no parameter '{key}'", fix=fix)
            value = raw
            if isinstance(raw, str):
                value = _from_text(raw, known[key].type)
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
        return label_text(self.qualified or self.name, self.params)


class Technique(Parametrized, frozen=True, kw_only=True):
    """A technique: a name, a stage, hyper-parameters as fields, and its relations to other techniques."""

    baseline: ClassVar[bool] = False
    """Whether the stage uses this technique by default."""
    revision: ClassVar[int] = 1
    """Raised by the author when the results of the technique change."""
    conflicts: ClassVar[Mapping[str, str]] = {}
    """Technique or stage name -> why this technique cannot be combined with it."""
    needs: ClassVar[Mapping[str, str]] = {}
    """Technique or stage name -> why this technique has no effect without it."""
    doubtful: ClassVar[Mapping[str, str]] = {}
    """Technique name -> note on the leaderboard for combinations of both, which still run."""
    requires: ClassVar[Mapping[str, str]] = {}
    """Package that may not be installed, as it is imported -> how to install it: `{"peft": "pip install peft"}`."""

    def unsuited_to(self, model: Technique) -> str:
        """Return why it cannot be used with a model; empty if it can. Called when a plan is made, without torch."""
        return ""

    def check_classes(self, classes: Sequence[str]) -> None:
        """Raise `UsageError` if a parameter names a class that a data set does not have. Called when a plan is made."""


def _default(field: msgspec.structs.FieldInfo) -> object:
    return field.default_factory() if callable(field.default_factory) else field.default


def _plain(message: str) -> str:
    message = message.replace("`", "")
    return message[0].lower() + message[1:] if message else message


class QuotedText(str):
    """A value in double quotes on a command line, which is always text."""

    __slots__ = ()


def _from_text(raw: str, kind: object) -> object:
    if isinstance(raw, QuotedText):
        with contextlib.suppress(msgspec.ValidationError):
            return msgspec.convert(str(raw), kind)
        return [str(raw)]
    if raw == "null":
        with contextlib.suppress(msgspec.ValidationError):
            return msgspec.convert(None, kind)
    try:
        return msgspec.convert(raw, kind, strict=False)
    except msgspec.ValidationError:
        # A list is written a+b+c on a command line; construction rejects anything else.
        return _from_list(raw, kind)


def _from_list(raw: str, kind: object) -> object:
    parts = [] if raw == "[]" else split_outside(raw, "+")
    try:
        return msgspec.convert(parts, kind, strict=False)
    except msgspec.ValidationError:
        # The error of the construction is then about a number, or about an element of a list.
        with contextlib.suppress(msgspec.ValidationError):
            msgspec.convert([], kind)
            return [_number(part) for part in parts]
        return _number(raw)


def _number(raw: str) -> int | float | str:
    """Return a number, or the text if it is none."""
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


def label_text(name: str, params: Mapping[str, object]) -> str:
    """Return the notation of a technique with parameters: `focal[gamma=1.5]`."""
    written_params = ",".join(f"{key}={_parameter(value)}" for key, value in params.items())
    return f"{name}[{written_params}]" if params else name


def _parameter(value: object) -> str:
    """Return a value as `Parametrized.parse` reads it."""
    if value is None:
        return "null"
    if isinstance(value, (list, tuple)):
        return "+".join(_part(one) for one in value) or "[]"
    return _text(value) if isinstance(value, str) else written(value)


def _part(value: object) -> str:
    """Return a value of a list."""
    if not isinstance(value, str):
        return written(value).replace("e+", "e")
    text = _text(value)
    return _quoted(value) if value == "[]" or (text == value and len(split_outside(text, "+")) > 1) else text


def _text(value: str) -> str:
    """Return a text, in double quotes if it would otherwise be parsed differently."""
    is_bare = _BARE.fullmatch(value) and value == value.strip() and " + " not in value and value != "null"
    return value if is_bare else _quoted(value)


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def unquoted(text: str) -> QuotedText:
    """Return the text in double quotes. Raises `UsageError` if there is more, or an escape that JSON does not have."""
    try:
        return QuotedText(json.loads(text))
    except ValueError:
        raise UsageError(f"cannot read the quoted text {text}", why="it must be a valid JSON string",
                         fix=r'"..." with \" for a quote and \\ for a backslash') from None  # fmt: skip


def split_outside(text: str, mark: str) -> list[str]:
    """Split a text at a separator outside brackets and double quotes. Raises `UsageError` if one is unbalanced."""
    ends = [position for position, character in outside(text) if character == mark]
    starts = [0, *(end + 1 for end in ends)]
    return [text[start:end] for start, end in zip(starts, [*ends, len(text)], strict=True)]


def outside(text: str) -> Iterator[tuple[int, str]]:
    """Yield position and character of everything outside brackets and double quotes.

    Raises `UsageError` if one is not closed.
    """
    depth, position, begins = 0, 0, True
    while position < len(text):
        character = text[position]
        if character == '"' and begins:
            quoted = _QUOTED.match(text, position)
            if quoted is None:
                raise _syntax_error(text, "a double quote is not closed")
            position, begins = quoted.end(), False
            continue
        depth -= character == "]"
        if depth < 0:
            raise _syntax_error(text, "a bracket is not opened")
        if depth == 0 and character != "]":
            yield position, character
        depth += character == "["
        begins = character in "=,+[" or (begins and character == " ")
        position += 1
    if depth:
        raise _syntax_error(text, "a bracket is not closed")


def _syntax_error(text: str, why: str) -> UsageError:
    return UsageError(f"syntax error in '{text}'", why=why, fix='name,name[parameter=value],name[parameter="a, b"]')


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
        first, *others = get_args(kind)
        number = "" if others == [...] else f"{1 + len(others)} "
        return f"list of {number}{allowed(first)}"
    if origin is dict:
        key, value = get_args(kind)
        return f"table of {allowed(key)}, each a {allowed(value)}"
    is_table = isinstance(kind, type) and issubclass(kind, msgspec.Struct)
    name = "table" if is_table else getattr(kind, "__name__", str(kind))
    return "none" if kind is type(None) else name


def _limits(meta: msgspec.Meta) -> list[str]:
    signs = (("ge", ">="), ("gt", ">"), ("le", "<="), ("lt", "<"))
    limits = [f"{sign} {written(value)}" for name, sign in signs if (value := getattr(meta, name)) is not None]
    if meta.min_length is not None:
        limits.append(f"with at least {meta.min_length}")
    if meta.pattern is not None:
        limits.append("like " + meta.pattern.replace(r"\Z", "$"))  # the common name
    return limits
