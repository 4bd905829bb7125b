"""The notation of techniques: `focal`, `focal[gamma=1.5]`, and as a sweep `focal[gamma=0.5,1,2]`.

A value may be a technique with parameters, as in `stacking[models=convnet[width=16]+convnet[width=8,depth=3]]`.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

import msgspec

from ltbench.errors import UsageError

_TECHNIQUE = re.compile(r"\s*(?P<name>[A-Za-z0-9_./:-]+)\s*(?:\[(?P<params>(?:[^\[\]]|\[[^\[\]]*\])*)\])?\s*(?:,|\Z)")
_OUTER_COMMA = re.compile(r",(?![^\[]*\])")


class TechniqueText(msgspec.Struct, frozen=True, kw_only=True):
    """A technique name with the written values of each parameter; several values are a sweep."""

    name: str
    params: dict[str, tuple[str, ...]]

    def expanded(self) -> Iterator[dict[str, str]]:
        """Yield the parameters of each technique of the sweep."""
        for values in itertools.product(*self.params.values()):
            yield dict(zip(self.params, values, strict=True))


def parse_selection(text: str) -> list[TechniqueText]:
    """Parse text into techniques, in order. Raises `UsageError` for a syntax error."""
    choices = []
    position = 0
    while position < len(text):
        match = _TECHNIQUE.match(text, position)
        if match is None:
            raise UsageError(
                f"syntax error in '{text}' at '{text[position:]}'",
                fix="name,name[parameter=value],name[parameter=1,2]",
            )
        choices.append(TechniqueText(name=match["name"], params=_params(match["params"] or "", match["name"])))
        position = match.end()
    return choices


def _params(text: str, name: str) -> dict[str, tuple[str, ...]]:
    params: dict[str, tuple[str, ...]] = {}
    key = ""
    for part in filter(None, (p.strip() for p in _OUTER_COMMA.split(text))):
        if "=" in part:
            key, _, value = (p.strip() for p in part.partition("="))
            if not key or not value or key in params:
                raise UsageError(f"cannot read '{part}' in '{name}[{text}]'", fix=f"{name}[parameter=value]")
            params[key] = (value,)
        elif key:
            params[key] = (*params[key], part)
        else:
            raise UsageError(f"'{part}' in '{name}[{text}]' belongs to no parameter", fix=f"{name}[parameter={part}]")
    return params
