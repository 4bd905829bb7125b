"""The result of a check."""

from __future__ import annotations

from typing import Literal

import msgspec

State = Literal["ok", "failed", "skipped"]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one check of a technique."""

    check: str
    technique: str
    """The technique as checked, such as `focal[gamma=0]`."""
    about: str = ""
    """The tested parameter or number of classes, for checks that run for several."""
    state: State
    text: str
    """If ok, the requirement; if failed, what was observed and expected; if skipped, the reason."""
    fix: str = ""
    raised: bool = False
    """Whether the technique's own code raised, which may fail many checks for the same reason."""

    def __str__(self) -> str:
        lines = [f"{self.check} of {self.technique}{self.about and f', {self.about}'}: {self.text}"]
        return "\n".join([*lines, *([f"  try: {self.fix}"] if self.fix else [])])


class Skip(Exception):
    """Raised if a check does not apply, with the reason; becomes a finding."""
