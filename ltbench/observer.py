"""The interface of observers, which watch runs: for tools that show experiments.

Plugins provide observers through the hook `ltbench_observers`. An observer lives in a process of its own, which gets events and
sends nothing back, so it can neither change a number nor stop a run: if it raises, it is disabled with a warning.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import msgspec

from ltbench.technique import Parametrized


class RunBegun(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A run begins."""

    run: str
    """Its id, as `ltbench status` shows it."""
    suite: str
    command: tuple[str, ...]


class JobBegun(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A job is given to a worker. Of a few jobs that a worker has together, the others begin later."""

    key: str
    kind: str
    """`features`, `fit` (a training or a part of one), `predict`, `select` (of a state of a training) or `cell`"""
    about: str
    """What it is, such as its techniques"""


class EpochEnded(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """An epoch of a training has ended. Each comes once, in order, and before the end of its job; how soon depends on the training."""

    key: str
    """Of the job."""
    about: str
    number: int
    """Of the point in the learning curve, from 0. A part of a training begins with the points of the parts before it."""
    values: Mapping[str, float]
    """Epochs or steps done, and of this epoch the mean loss and accuracy on the training batches and the last learning rate."""


class JobEnded(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A job has ended."""

    key: str
    kind: str
    about: str
    status: Literal["done", "found", "failed"]
    """`found`: the store had its result, or another process has made it."""
    seconds: float | None = None
    message: str = ""
    """Why it failed."""
    curve: Mapping[str, list[float]] = {}
    """Of a fit: its steps or epochs, with loss, accuracy and learning rate."""


class CellRecorded(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A cell has its record."""

    record: dict[str, Any]
    """As a line of `records.jsonl`: id, setting, combination, metrics, cost, curve ..."""
    label: str
    """Its techniques, as in a table."""


class PageWritten(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The page of the run is written, or written again."""

    path: str


class RunEnded(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The run ends: all is done, it was stopped, or its budget is spent."""

    recorded: int
    """Cells that it has recorded."""
    seconds: float


Event = RunBegun | JobBegun | EpochEnded | JobEnded | CellRecorded | PageWritten | RunEnded


class Observer:
    """Gets the events of a run, in their order. Override what is needed; the others do nothing."""

    def run_begun(self, event: RunBegun) -> None:
        """Begin with a run."""

    def job_begun(self, event: JobBegun) -> None:
        """Note that a job begins."""

    def epoch_ended(self, event: EpochEnded) -> None:
        """Note a point of the learning curve of a training."""

    def job_ended(self, event: JobEnded) -> None:
        """Note that a job has ended."""

    def cell_recorded(self, event: CellRecorded) -> None:
        """Note the numbers of a cell."""

    def page_written(self, event: PageWritten) -> None:
        """Note that the page is written."""

    def run_ended(self, event: RunEnded) -> None:
        """Finish: write what is not written yet."""


class ObserverOffer(Parametrized, frozen=True, kw_only=True):
    """An observer with its options as fields: `log`, `log[file=cells.txt]`."""

    stage: ClassVar[str] = "observer"
    requires: ClassVar[Mapping[str, str]] = {}
    """Package that may not be installed, as it is imported -> how to install it."""

    def make(self) -> Observer:
        """Return the observer, in the process in which it watches."""
        raise NotImplementedError
