"""Methods: named bundles of techniques across stages, such as LDAM-DRW."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class Method(msgspec.Struct, frozen=True, kw_only=True):
    """A published method that consists of techniques of several stages.

    A name, not a technique: wherever techniques are written, it stands for its parts, and results know only these.
    """

    name: Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*\Z", max_length=60)]
    parts: Annotated[tuple[str, ...], Meta(min_length=1)]
    """Techniques as on a command line, at most one of each stage: `ldam[scale=30]`."""
    about: Annotated[str, Meta(min_length=1)]
    """What it is, in one line."""
    source: str = ""
    """Authors, title, venue and year."""
