"""Writes the record of a run while it runs, including how well its duration was predicted."""

from __future__ import annotations

import contextlib
import os
import socket
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Self

import msgspec

from ltbench.errors import Interrupted, StoreError
from ltbench.running.events import Event
from ltbench.running.run_counts import RunCounts
from ltbench.running.run_record import Part, Run, RunningJob, State, TimePrediction, about, lease_key, write

if TYPE_CHECKING:
    from ltbench.store.leases import Lease
    from ltbench.store.store import Store

MILESTONES = (0.1, 0.25, 0.5)
"""Shares of the work at which the current prediction is recorded."""
_WRITE_SECONDS = 2.0
"""Seconds between updates of the record, which `ltbench status` reads."""
_SAVE_SECONDS = 30.0
"""Seconds between updates of the durations of jobs."""


class RunLog:
    """Writes the record of a run. Use it as a context manager around the run, and call it with events.

    A run without work leaves no record. If the record cannot be written, `problem` says why and the run continues.
    """

    def __init__(self, store: Store, *, command: Sequence[str], suite: str, executor: str, workers: int) -> None:
        """command: its words. workers: number of tasks that the executor runs at once."""
        now = datetime.now(UTC)
        self.store = store
        self.problem = ""
        self.run = Run(
            id=f"{now:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}", command=tuple(command), suite=suite, executor=executor,
            workers=workers, host=socket.gethostname(), pid=os.getpid(), began=f"{now:%Y-%m-%dT%H:%M:%SZ}",
        )  # fmt: skip
        self._lease: Lease | None = None
        self._before = self.run
        """The record as it was when the current part began."""
        self._history: _PredictionHistory | None = None
        self._next = self._next_save = 0.0
        self._interrupted = False

    def __call__(self, event: Event) -> None:
        """Update the record with an event."""
        counts = event.counts
        if event.kind == "begin":
            self._begin(counts)
        if self._history is None:
            return
        self._history.update(counts, at_once=event.kind in ("done", "end"))
        now = time.monotonic()
        if event.kind in ("begin", "end") or now > self._next or (event.kind == "handed" and counts.slots == 1):
            self._next = now + _WRITE_SECONDS
            self.run = self._current(counts)
            self._write()
        if now > self._next_save or event.kind == "end":
            self._next_save = now + _SAVE_SECONDS
            self._save(counts)
        if event.kind == "end":
            self._end(counts)

    def _begin(self, counts: RunCounts) -> None:
        self._before, self._history = self.run, None
        if not counts.jobs:
            self.run = self._current(counts)
            return
        if self._lease is None:
            with self._keeping_problems():
                self._lease = self.store.lease(lease_key(self.run.id))
        self._next_save = time.monotonic() + _SAVE_SECONDS
        self._history = _PredictionHistory(counts)

    def _current(self, counts: RunCounts) -> Run:
        before = self._before
        summed = ("cells", "cached", "done", "jobs", "jobs_done")
        return msgspec.structs.replace(
            before,
            **{name: getattr(before, name) + getattr(counts, name) for name in summed},
            failed=before.failed + len(counts.failed),
            ran=_sum(before.ran, counts.ran),
            worked=_sum(before.worked, counts.seconds),
            found=before.found + counts.done_elsewhere,
            seconds=before.seconds + counts.elapsed,
            eta=counts.eta,
            in_flight=tuple(
                RunningJob(key=job.key, kind=job.kind, about=about(job), seconds=round(seconds, 1))
                for job, seconds in counts.in_flight
            ),
        )

    def _end(self, counts: RunCounts) -> None:
        assert self._history is not None
        whole = counts.done + len(counts.failed) == counts.cells
        if counts.first is not None and counts.first[1].kind == "fit":
            elapsed, job = counts.first
            # The time of the first job beyond its own work was the start of the workers.
            work = counts.prediction.trained(job) or counts.prediction.seconds(job) or elapsed
            counts.prediction.learn_start(max(0.0, elapsed - work))
            self._save(counts)
        guesses = self._history.guesses(counts) if whole else ()
        part = Part(jobs=counts.jobs, seconds=round(counts.elapsed, 3), guesses=guesses)
        self.run = msgspec.structs.replace(self.run, parts=(*self.run.parts, part))
        self._history = None

    def interrupted(self) -> None:
        """Note that the run was stopped by a signal."""
        self._interrupted = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Write the final state."""
        if self._lease is None:
            return
        state: State = "done"
        if self._interrupted or (kind is not None and issubclass(kind, Interrupted | KeyboardInterrupt)):
            state = "interrupted"
        elif kind is not None:
            state = "broken"
        elif self.run.done + self.run.failed < self.run.cells:
            state = "unfinished"
        elif self.run.failed:
            state = "failed"
        ended = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        self.run = msgspec.structs.replace(self.run, state=state, ended=ended, eta=None, in_flight=())
        self._write()
        self._lease.release()

    def _write(self) -> None:
        with self._keeping_problems():
            write(self.store.root, self.run)

    def _save(self, counts: RunCounts) -> None:
        with self._keeping_problems():
            counts.prediction.save()

    @contextlib.contextmanager
    def _keeping_problems(self) -> Iterator[None]:
        # An unwritable store also fails where results are written, which stops the run with a message.
        try:
            yield
        except StoreError as error:
            self.problem = self.problem or str(error)


class _PredictionHistory:
    """The predictions made during a part."""

    def __init__(self, counts: RunCounts) -> None:
        self._moments: list[tuple[float, float, float | None]] = [(0.0, 0.0, counts.eta)]
        """Seconds of work done, seconds elapsed, and predicted total seconds."""

    def update(self, counts: RunCounts, *, at_once: bool) -> None:
        elapsed, worked = counts.elapsed, counts.worked
        if worked > self._moments[-1][0] and (at_once or elapsed > self._moments[-1][1] + 1.0):
            eta = counts.eta
            self._moments.append((worked, elapsed, None if eta is None else elapsed + eta))

    def guesses(self, counts: RunCounts) -> tuple[TimePrediction, ...]:
        """Return the predictions at the start and at each milestone, compared with the actual time."""
        actual, worked = counts.elapsed, counts.worked
        predictions = [self._prediction(0.0, self._moments[0], actual)]
        for share in MILESTONES:
            moment = next((moment for moment in self._moments if moment[0] >= share * worked > 0), None)
            if moment is not None:
                predictions.append(self._prediction(moment[0] / worked, moment, actual))
        return tuple(predictions)

    @staticmethod
    def _prediction(after: float, moment: tuple[float, float, float | None], actual: float) -> TimePrediction:
        _, elapsed, predicted = moment
        return TimePrediction(
            after=round(after, 3),
            elapsed=round(elapsed, 3),
            predicted=None if predicted is None else round(predicted, 3),
            ratio=None if predicted is None or actual <= 0 else round(predicted / actual, 3),
        )


def _sum(a: Mapping[str, float], b: Mapping[str, float]) -> dict[str, float]:
    return {name: round(a.get(name, 0) + b.get(name, 0), 3) for name in (*a, *(set(b) - set(a)))}
