"""What an audit finds."""

from __future__ import annotations

from typing import Literal

import msgspec


class Finding(msgspec.Struct, frozen=True):
    """A finding of an audit."""

    level: Literal["wrong", "unknown", "note"]
    """`wrong`: contradictory or changed; `unknown`: cannot be checked here; `note`: for information."""
    where: str
    what: str
