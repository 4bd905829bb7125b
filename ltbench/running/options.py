"""The options of a run, passed as one value from the command line to the runner."""

from __future__ import annotations

import msgspec

from ltbench.running.budget import Budget


class RunOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Budget, retries and sharing of a run."""

    budget: Budget | None = None
    """After which no new job is started; None for no limit."""
    retries: int = 1
    """How often a job is retried whose worker died."""
    retry_failed: bool = True
    """Whether cells that failed in an earlier run are retried."""
    rerun_stale: bool = False
    """Whether cells made by other versions of plugins are rerun."""
    sharing: bool = True
    """Whether cells share trainings. If not, every cell trains separately and no page is written."""


DEFAULT_OPTIONS = RunOptions()
