"""The options of a run, as one value from the command line down to the runner."""

from __future__ import annotations

import msgspec


class RunOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How long a run lasts, what it tries again, and whether trainings are shared."""

    budget: float | None = None
    """Seconds after which no new job is started."""
    retries: int = 1
    """How often a job is tried again whose worker died."""
    retry_failed: bool = True
    """Whether cells that failed in an earlier run are tried again."""
    rerun_stale: bool = False
    """Whether cells made by other versions of plugins are trained again."""
    sharing: bool = True
    """Whether cells share trainings; without, every cell trains by itself and nothing is published."""


DEFAULT_OPTIONS = RunOptions()
