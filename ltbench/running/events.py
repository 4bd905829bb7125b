"""What a run tells while it goes on, and what it came to."""

from __future__ import annotations

from typing import Literal

import msgspec

from ltbench.core.spec import Job
from ltbench.running.run_counts import RunCounts


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened in a run. `counts` is alive: it shows the run as it is when it is read."""

    kind: Literal["begin", "handed", "tick", "done", "found", "busy", "failed", "retry", "remake", "stopping", "end"]
    counts: RunCounts
    job: Job | None = None
    note: str = ""


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What a run came to. Counts are of cells where nothing else is said."""

    cells: int
    done: int
    """With a record of success, the cached ones included."""
    cached: int
    failed: tuple[str, ...]
    unfinished: int
    """Neither done nor failed: the time was over."""
    ran: dict[str, int]
    """Jobs done here, by kind."""
    found: int
    """Jobs that another process did meanwhile."""
    seconds: float
