"""What a check is, and what comes of one."""

from __future__ import annotations

from typing import Literal

import msgspec

State = Literal["ok", "failed", "skipped"]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What one check found."""

    check: str
    technique: str
    """As it was examined, such as `focal[gamma=0]`."""
    about: str = ""
    """Which of several runs of the check this is: a parameter, or a number of classes."""
    state: State
    text: str
    """What the check demands; where it failed what was seen and what was expected, where it was skipped why."""
    fix: str = ""
    raised: bool = False
    """Whether it failed because the technique's own code raised, which may fail many checks alike."""

    def __str__(self) -> str:
        lines = [f"{self.check} of {self.technique}{self.about and f', {self.about}'}: {self.text}"]
        return "\n".join([*lines, *([f"  try: {self.fix}"] if self.fix else [])])


class Skip(Exception):
    """Why a check has nothing to examine; raised by checks and by what they ask for, and turned into a finding."""
