"""What a run may spend: wall time, cells, or passes of an image through a network."""

from __future__ import annotations

import time


class Budget:
    """What is left of a run's limit. One budget is for all parts of a run."""

    def __init__(self, *, seconds: float | None = None, cells: int | None = None, passes: float | None = None) -> None:
        """Set what may be spent from now on; None for no limit."""
        self._end = None if seconds is None else time.monotonic() + seconds
        self._cells, self._passes = cells, passes

    @property
    def is_spent(self) -> bool:
        """Whether no further job may begin."""
        over = self._end is not None and time.monotonic() >= self._end
        return (
            over or (self._cells is not None and self._cells <= 0) or (self._passes is not None and self._passes <= 0)
        )

    def begin(self, passes: float) -> None:
        """Note that jobs of this cost begin."""
        if self._passes is not None:
            self._passes -= passes

    def derived(self) -> None:
        """Note that a cell was derived."""
        if self._cells is not None:
            self._cells -= 1
