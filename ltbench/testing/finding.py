"""The result of a check."""

from __future__ import annotations

from typing import Literal

import msgspec

State = Literal["ok", "failed", "skipped"]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one check of a technique."""

    check: str
    technique: str
    """As it was checked, such as `focal[gamma=0]`."""
    about: str = ""
    """The parameter or the number of classes that was tested, for checks that run for several."""
    state: State
    text: str
    """ok: the requirement; failed: what was observed and what was expected; skipped: the reason."""
    fix: str = ""
    raised: bool = False
    """Whether the technique's own code raised, which may fail many checks for the same reason."""

    def __str__(self) -> str:
        lines = [f"{self.check} of {self.technique}{self.about and f', {self.about}'}: {self.text}"]
        return "\n".join([*lines, *([f"  try: {self.fix}"] if self.fix else [])])


class Skip(Exception):
    """Raised where a check does not apply, with the reason; becomes a finding."""
