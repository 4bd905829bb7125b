"""The seconds of a training, over all processes that did some of its steps."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any


class Stopwatch:
    """Counts the seconds of a training, which is stored and goes on with them in another process."""

    def __init__(self) -> None:
        self.inherited = 0.0
        """Of them, those of the fits that this one continues."""
        self._before = 0.0
        self._began: float | None = None
        self._share = 1

    @property
    def seconds(self) -> float:
        """Those until now, also while it runs: a state that is stored then has to have them."""
        return self._until(time.perf_counter())

    def set(self, seconds: float, *, inherited: float = 0.0) -> None:
        """Go on from so many."""
        self._before, self.inherited = seconds, inherited

    def state(self) -> dict[str, float]:
        """Return what a stored training needs of it."""
        return {"seconds": self.seconds, "inherited_seconds": self.inherited}

    def restore(self, values: Mapping[str, Any]) -> None:
        """Go on from a state; one of an older version has only its seconds."""
        self.set(values["seconds"], inherited=values.get("inherited_seconds", 0.0))

    def start(self, now: float, share: int) -> None:
        """Count from now on. share: how many trainings are done at once, each of which costs its part."""
        self._began, self._share = now, share

    def stop(self, now: float) -> None:
        """Count no longer."""
        self._before, self._began = self._until(now), None

    def _until(self, now: float) -> float:
        return self._before + (0.0 if self._began is None else (now - self._began) / self._share)


@contextmanager
def running(*watches: Stopwatch) -> Iterator[None]:
    """Count the seconds of the block for trainings that are done in it at once."""
    began = time.perf_counter()
    for watch in watches:
        watch.start(began, len(watches))
    try:
        yield
    finally:
        ended = time.perf_counter()
        for watch in watches:
            watch.stop(ended)
