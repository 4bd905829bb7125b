"""What a job may take: seconds, and memory. Looked at from outside, while the job goes on.

What a worker is at is known from the leases, so a limit holds for each job of a task, and nothing in the worker has to
cooperate: it may hang in whatever code it likes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Sequence
from pathlib import Path

import msgspec

from ltbench.core.spec import Job
from ltbench.core.units import size_text
from ltbench.errors import UsageError
from ltbench.store.leases import Leases, Owner

LOOK_SECONDS = 0.25
"""How often a worker is looked at: a look costs some 50 microseconds."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of one job; None where there is none."""

    timeout: float | None = None
    """Seconds."""
    memory: int | None = None
    """Bytes that the job's worker may have resident."""

    def __post_init__(self) -> None:
        if self.memory is not None and resident(os.getpid()) is None:
            raise UsageError(
                "the memory of a job cannot be limited here",
                why="this system has no /proc, which is where the memory of a worker is read",
                fix="leave --memory out, and limit the whole command by ulimit or a container",
            )

    def __bool__(self) -> bool:
        return self.timeout is not None or self.memory is not None


class Attempt:
    """What is seen from outside of a worker that does a task."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._jobs = jobs
        self._at = 0
        self._nonce = ""
        self._since: float | None = None
        self.pid: int | None = None
        """The worker, once it was seen at a job."""
        self._peak = 0

    def exceeds(self, limits: Limits, leases: Leases, workers: Collection[int]) -> str:
        """Return how the worker exceeds its limits, or nothing. workers: the processes that it can be."""
        now = time.monotonic()
        owner = self._look(leases, workers)
        if self._since is None or (owner is not None and owner.nonce != self._nonce):
            self._since, self._peak = now, 0
        if owner is not None:
            self._nonce, self.pid = owner.nonce, owner.pid
            self._peak = max(self._peak, resident(owner.pid) or 0)
        if limits.memory is not None and self._peak > limits.memory:
            return f"was killed: it used {size_text(self._peak)} of memory, and {size_text(limits.memory)} are allowed"
        if limits.timeout is not None and now - self._since > limits.timeout:
            return f"took more than {limits.timeout:g} s"
        return ""

    def _look(self, leases: Leases, workers: Collection[int]) -> Owner | None:
        """Return the worker as the owner of the job that it is at; None while it is between two."""
        for number in range(self._at, len(self._jobs)):
            owner = leases.owner(self._jobs[number].key)
            if owner is not None and owner.is_here() and owner.pid in workers:
                self._at = number
                return owner
        return None


def resident(pid: int) -> int | None:
    """Return the bytes of memory that a process has resident; None where that cannot be seen, or there is none."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except (OSError, IndexError, ValueError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")
