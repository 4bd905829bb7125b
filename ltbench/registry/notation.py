"""The notation of techniques: `focal`, `focal[gamma=1.5]`, and as a sweep `focal[gamma=0.5,1,2]`.

A value may be a technique with parameters, as in `stacking[models=convnet[width=16]+convnet[width=8,depth=3]]`. Text
with special characters is put in double quotes, with JSON escapes: `image_folder[path="a, b"]`.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

import msgspec

from ltbench.errors import UsageError
from ltbench.technique import outside, split_outside, unquoted

_TECHNIQUE = re.compile(r"\s*(?P<name>[A-Za-z0-9_./:-]+)\s*(?:\[(?P<params>.*)\])?\s*", re.DOTALL)

Value = str | list[str]
"""The written value; a list if a part of it is in quotes."""


class TechniqueText(msgspec.Struct, frozen=True, kw_only=True):
    """A technique name with the written values of each parameter; several values are a sweep."""

    name: str
    params: dict[str, tuple[Value, ...]]

    def expanded(self) -> Iterator[dict[str, Value]]:
        """Yield the parameters of each technique of the sweep."""
        for values in itertools.product(*self.params.values()):
            yield dict(zip(self.params, values, strict=True))


def parse_selection(text: str) -> list[TechniqueText]:
    """Parse text into techniques, in order. Raises `UsageError` for a syntax error."""
    choices = []
    parts = split_outside(text, ",")
    if not parts[-1].strip():
        parts.pop()
    for part in parts:
        match = _TECHNIQUE.fullmatch(part)
        if match is None:
            raise UsageError(
                f"syntax error in '{text}' at '{part}'", fix="name,name[parameter=value],name[parameter=1,2]"
            )
        choices.append(TechniqueText(name=match["name"], params=_params(match["params"] or "", match["name"])))
    return choices


def _params(text: str, name: str) -> dict[str, tuple[Value, ...]]:
    params: dict[str, tuple[Value, ...]] = {}
    key = ""
    for part in filter(None, (p.strip() for p in split_outside(text, ","))):
        sign = next((position for position, character in outside(part) if character == "="), None)
        if sign is not None:
            key, value = part[:sign].strip(), part[sign + 1 :].strip()
            if not key or not value or key in params:
                raise UsageError(f"'{part}' in '{name}[{text}]' cannot be read", fix=f"{name}[parameter=value]")
            params[key] = (_value(value),)
        elif key:
            params[key] = (*params[key], _value(part))
        else:
            raise UsageError(f"'{part}' in '{name}[{text}]' belongs to no parameter", fix=f"{name}[parameter={part}]")
    return params


def _value(text: str) -> Value:
    parts = [part.strip() for part in split_outside(text, "+")]
    if not any(part.startswith('"') for part in parts):
        return text
    read = [unquoted(part) if part.startswith('"') else part for part in parts]
    return [str(one) for one in read] if len(read) > 1 else read[0]
