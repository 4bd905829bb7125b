"""Combinations whose techniques may be written as methods."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Sequence

from ltbench.errors import LtbenchError
from ltbench.executor import Techniques
from ltbench.technique import Technique


def expanded_rows(row: Sequence[str], registry: Techniques) -> Iterator[tuple[Technique, ...]]:
    """Yield the combinations of a listed row: one, or several if a technique is written as a sweep."""
    yield from itertools.product(*map(registry.parse_all, without_methods(row, registry)))


def without_methods(row: Sequence[str], registry: Techniques) -> list[str]:
    """Return a row with the parts of its methods in their place.

    A technique that the row names itself takes the place of the part of its stage, so that `ldam_drw` with `focal` has
    the other parts of LDAM-DRW. Raises `PluginError` if a method has a part that is not installed.
    """
    methods = [text for text in row if text.strip() in registry.methods]
    others = [text for text in row if text.strip() not in registry.methods]
    named: set[str] = set()
    for text in others:
        # An unknown technique is reported where it is used.
        with contextlib.suppress(LtbenchError):
            named |= {technique.stage for technique in registry.parse_all(text)}
    parts = [part for method in methods for part in registry.parse_all(method)]
    return [*dict.fromkeys(part.label for part in parts if part.stage not in named), *others]
