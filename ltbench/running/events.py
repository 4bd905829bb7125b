"""Events of a run and its summary."""

from __future__ import annotations

from typing import Literal

import msgspec

from ltbench.core.spec import Job
from ltbench.running.run_counts import RunCounts


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened in a run. `counts` is live: it changes during the run."""

    kind: Literal["begin", "handed", "tick", "done", "found", "busy", "failed", "retry", "remake", "stopping", "end"]
    counts: RunCounts
    job: Job | None = None
    note: str = ""
    task: tuple[Job, ...] = ()
    """Of `handed`: the jobs that one worker gets together; `job` is the first."""
    seconds: float | None = None
    """Of `done`: how long the job has taken."""


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a run. Counts are of cells unless stated otherwise."""

    cells: int
    done: int
    """Cells with a successful record, including cached ones."""
    cached: int
    failed: tuple[str, ...]
    unfinished: int
    """Neither done nor failed, because the budget was used up."""
    ran: dict[str, int]
    """Jobs done here, by kind."""
    done_elsewhere: int
    """Jobs done by other processes during the run."""
    seconds: float
