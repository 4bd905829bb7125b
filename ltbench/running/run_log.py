"""Keeping the record of a run while it runs, and of how well its time is predicted."""

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
from ltbench.running.run_record import Flight, Guess, Part, Run, State, about, lease_key, write

if TYPE_CHECKING:
    from ltbench.store.leases import Lease
    from ltbench.store.store import Store

MILESTONES = (0.1, 0.25, 0.5)
"""Shares of the work after which a prediction is compared with the end."""
_BEAT = 2.0
"""Seconds between two looks at a run that can be had from outside."""
_SAVE = 30.0
"""Seconds between two times that what jobs took is noted."""


class RunLog:
    """Keeps the record of a run. Used as a context manager around it, and called with its events.

    A run that finds nothing to do leaves no record. What cannot be written is said once by `problem`.
    """

    def __init__(self, store: Store, *, command: Sequence[str], suite: str, executor: str, workers: int) -> None:
        """command: its words; workers: tasks that the executor takes at once."""
        now = datetime.now(UTC)
        self.store = store
        self.problem = ""
        self.run = Run(
            id=f"{now:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}", command=tuple(command), suite=suite, executor=executor,
            workers=workers, host=socket.gethostname(), pid=os.getpid(), began=f"{now:%Y-%m-%dT%H:%M:%SZ}",
        )  # fmt: skip
        self._lease: Lease | None = None
        self._before = self.run
        """As it was when the part that runs now began."""
        self._watch: _Watch | None = None
        self._next = self._next_save = 0.0
        self._interrupted = False

    def __call__(self, event: Event) -> None:
        """Take in what happened."""
        counts = event.counts
        if event.kind == "begin":
            self._begin(counts)
        if self._watch is None:
            return
        self._watch.look(counts, at_once=event.kind in ("done", "end"))
        now = time.monotonic()
        if event.kind in ("begin", "end") or now > self._next or (event.kind == "handed" and counts.slots == 1):
            self._next = now + _BEAT
            self.run = self._as_it_is(counts)
            self._write()
        if now > self._next_save or event.kind == "end":
            self._next_save = now + _SAVE
            self._save(counts)
        if event.kind == "end":
            self._end(counts)

    def _begin(self, counts: RunCounts) -> None:
        self._before, self._watch = self.run, None
        if not counts.jobs:
            self.run = msgspec.structs.replace(
                self.run, cells=self.run.cells + counts.cells, cached=self.run.cached + counts.cached,
                done=self.run.done + counts.done, failed=self.run.failed + len(counts.failed),
            )  # fmt: skip
            return
        if self._lease is None:
            with self._noting():
                self._lease = self.store.lease(lease_key(self.run.id))
        self._next_save = time.monotonic() + _SAVE
        self._watch = _Watch(counts)

    def _as_it_is(self, counts: RunCounts) -> Run:
        before = self._before
        return msgspec.structs.replace(
            before,
            cells=before.cells + counts.cells,
            cached=before.cached + counts.cached,
            done=before.done + counts.done,
            failed=before.failed + len(counts.failed),
            jobs=before.jobs + counts.jobs,
            jobs_done=before.jobs_done + counts.jobs_done,
            ran=_sum(before.ran, counts.ran),
            worked=_sum(before.worked, counts.seconds),
            found=before.found + counts.found,
            seconds=before.seconds + counts.elapsed,
            eta=counts.eta,
            in_flight=tuple(
                Flight(key=job.key, kind=job.kind, about=about(job), seconds=round(seconds, 1))
                for job, seconds in counts.in_flight
            ),
        )

    def _end(self, counts: RunCounts) -> None:
        assert self._watch is not None
        whole = counts.done + len(counts.failed) == counts.cells
        if counts.first is not None and counts.first[1].kind == "fit":
            elapsed, job = counts.first
            work = counts.prediction.trained(job) or counts.estimate(job) or elapsed
            counts.prediction.learn_start(max(0.0, elapsed - work))
            self._save(counts)
        guesses = self._watch.guesses(counts) if whole else ()
        part = Part(jobs=counts.jobs, seconds=round(counts.elapsed, 3), guesses=guesses)
        self.run = msgspec.structs.replace(self.run, parts=(*self.run.parts, part))
        self._watch = None

    def interrupted(self) -> None:
        """Say that someone stopped the run."""
        self._interrupted = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Write the record of the end."""
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
        with self._noting():
            write(self.store.root, self.run)

    def _save(self, counts: RunCounts) -> None:
        with self._noting():
            counts.prediction.save()

    @contextlib.contextmanager
    def _noting(self) -> Iterator[None]:
        # A store that takes nothing stops the run where results are written, with its own message.
        try:
            yield
        except StoreError as error:
            self.problem = self.problem or str(error)


class _Watch:
    """The predictions of a part while it runs."""

    def __init__(self, counts: RunCounts) -> None:
        self._seen: list[tuple[float, float, float | None]] = [(0.0, 0.0, counts.eta)]
        """Seconds of work done, seconds elapsed, and seconds that the whole is predicted to take."""

    def look(self, counts: RunCounts, *, at_once: bool) -> None:
        elapsed, worked = counts.elapsed, counts.worked
        if worked > self._seen[-1][0] and (at_once or elapsed > self._seen[-1][1] + 1.0):
            eta = counts.eta
            self._seen.append((worked, elapsed, None if eta is None else elapsed + eta))

    def guesses(self, counts: RunCounts) -> tuple[Guess, ...]:
        """Return what was predicted at the start and at each milestone, against what it was."""
        actual, worked = counts.elapsed, counts.worked
        found = [self._guess(0.0, self._seen[0], actual)]
        for share in MILESTONES:
            seen = next((one for one in self._seen if one[0] >= share * worked > 0), None)
            if seen is not None:
                found.append(self._guess(seen[0] / worked, seen, actual))
        return tuple(found)

    @staticmethod
    def _guess(after: float, seen: tuple[float, float, float | None], actual: float) -> Guess:
        _, elapsed, predicted = seen
        return Guess(
            after=round(after, 3),
            elapsed=round(elapsed, 3),
            predicted=None if predicted is None else round(predicted, 3),
            ratio=None if predicted is None or actual <= 0 else round(predicted / actual, 3),
        )


def _sum(one: Mapping[str, float], two: Mapping[str, float]) -> dict[str, float]:
    return {name: round(one.get(name, 0) + two.get(name, 0), 3) for name in (*one, *(set(two) - set(one)))}
