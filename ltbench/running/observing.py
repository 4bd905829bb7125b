"""Sends the events of a run to observers, which live in a process of their own.

The run never waits for them, except for a while at its end; their errors are warnings.
"""

from __future__ import annotations

import contextlib
import copy
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing.queues import Queue
from queue import Empty
from types import TracebackType
from typing import TYPE_CHECKING, Self

import msgspec

from ltbench import observer as observers
from ltbench.core.plugins import PluginOrigin
from ltbench.core.printable import printable, shortened
from ltbench.core.row_labels import row_label
from ltbench.core.spawning import Spawning
from ltbench.errors import PluginError, lacking, raised
from ltbench.executors.worker_process import end_with, without_interrupts
from ltbench.observer import Observer, ObserverOffer
from ltbench.running.run_record import about
from ltbench.store.live_curves import live_curve, points_after, remove_live_curve

if TYPE_CHECKING:
    from pathlib import Path

    from ltbench.core.spec import Job
    from ltbench.registry.registry import Registry
    from ltbench.running.events import Event
    from ltbench.store.store import Store

PATIENCE = 60.0
"""Seconds that observers may take to finish after the run."""
_SAY = 5.0
"""Seconds after which it is said that the run waits for them."""
_COMPLETE = 86
"""The exit code of observers that have got every event; an observer can end their process with any other, 0 included."""
_LOOK = 1.0
"""Seconds between looks at the learning curves of running trainings."""
_METHODS: dict[type, str] = {
    observers.RunBegun: "run_begun", observers.JobBegun: "job_begun", observers.EpochEnded: "epoch_ended", observers.JobEnded: "job_ended",
    observers.CellRecorded: "cell_recorded", observers.PageWritten: "page_written", observers.RunEnded: "run_ended",
}  # fmt: skip


def observers_of(texts: Sequence[str], registry: Registry) -> list[ObserverOffer]:
    """Return the observers of texts, each once. Raises `UnknownName`, or `PluginError` for one whose package is not installed."""
    offers = {offer.label: offer for offer in map(registry.observer, texts)}
    for offer in offers.values():
        if missing := lacking(f"observer '{offer.name}'", offer.requires):
            what, _, how = missing.partition(": ")
            raise PluginError(what, fix=how)
    return list(offers.values())


class Observing:
    """Sends events to the observers of a run. Use it as a context manager around the run, and call it with events."""

    def __init__(
        self,
        offers: Sequence[ObserverOffer],
        origin: PluginOrigin,
        store: Store,
        *,
        run: str,
        suite: str,
        command: Sequence[str],
    ) -> None:
        """origin: the plugins that offer them; run: its id; command: its words."""
        self._texts, self._origin, self._store = tuple(offer.label for offer in offers), origin, store
        self._first = observers.RunBegun(run=run, suite=suite, command=tuple(command))
        self._recorded, self._began = 0, time.monotonic()
        self._fits: set[str] = set()
        self._queue: Queue[bytes | None] | None = None

    def __enter__(self) -> Self:
        if self._texts:
            context = Spawning()
            self._queue = context.Queue()
            self._process = context.Process(
                target=_observe, args=(self._queue, self._origin, self._texts, self._store, os.getpid()), daemon=True
            )
            with without_interrupts():
                self._process.start()
            self._send(self._first)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._queue is None:
            return
        self._send(observers.RunEnded(recorded=self._recorded, seconds=time.monotonic() - self._began))
        self._queue.put(None)
        names = ", ".join(self._texts)
        try:
            self._process.join(min(_SAY, PATIENCE))
            if self._process.exitcode is None and PATIENCE > _SAY:
                _say(f"note: waiting for the observers ({names}) to finish, for {PATIENCE:g} s at most")
                self._process.join(PATIENCE - _SAY)
        finally:
            code = self._process.exitcode
            self._process.kill()
        if code is None:
            _warn(f"the observers ({names}) were ended, as they took more than {PATIENCE:g} s to finish")
        elif code != _COMPLETE:
            _warn(f"the observers ({names}) have died; what they show may not be complete")
        if code != _COMPLETE:
            for key in self._fits:
                remove_live_curve(key, self._store)
        self._queue.cancel_join_thread()
        self._queue.close()

    def __call__(self, event: Event) -> None:
        """Send what an event of the run means."""
        if self._queue is None:
            return
        for job in event.task:
            if job.kind == "fit":
                self._fits.add(job.key)
            self._send(observers.JobBegun(key=job.key, kind=job.kind, about=about(job)))
        if event.job is not None and event.kind in {"done", "found", "failed"}:
            self._ended(event, event.job)

    def page_written(self, page: Path) -> None:
        """Send that the page is written."""
        if self._queue is not None:
            self._send(observers.PageWritten(path=str(page)))

    def _ended(self, event: Event, job: Job) -> None:
        done = event.kind == "done"
        curve = (
            self._store.meta(job.key).get("curve", {})
            if done and job.kind == "fit" and self._store.has(job.key)
            else {}
        )
        self._send(
            observers.JobEnded(
                key=job.key, kind=job.kind, about=about(job), status=event.kind,  # type: ignore[arg-type]
                seconds=event.seconds, message=event.note, curve=curve,
            )
        )  # fmt: skip
        if done and job.kind == "cell" and (record := self._store.record(job.key)) is not None:
            self._recorded += 1
            label = row_label(filter(None, record["combination"].values()))
            self._send(observers.CellRecorded(record=record, label=label))

    def _send(self, event: observers.Event) -> None:
        assert self._queue is not None
        self._queue.put(msgspec.json.encode(event))


def _observe(queue: Queue[bytes | None], origin: PluginOrigin, texts: Sequence[str], store: Store, parent: int) -> None:
    """Give the events of a queue to observers until its end; in a process of their own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with(parent)
    os.dup2(2, 1)  # stdout is for the data of the command
    from ltbench.registry.registry import Registry

    registry = Registry.load(origin)
    watching: dict[str, Observer] = {}
    for text in texts:
        with _warned(watching, text):
            watching[text] = _made(registry.observer(text))
    for event in _with_epochs(queue, store):
        for text, each in list(watching.items()):
            with _warned(watching, text):
                # A copy, because an observer that modifies its event would change what the next one shows.
                getattr(each, _METHODS[type(event)])(copy.deepcopy(event))
    sys.exit(_COMPLETE)


def _made(offer: ObserverOffer) -> Observer:
    made = offer.make()
    if not isinstance(made, Observer):
        raise PluginError(f"make() returned {made!r}; expected an object of a class derived from Observer")
    return made


def _with_epochs(queue: Queue[bytes | None], store: Store) -> Iterator[observers.Event]:
    """Yield the events of a queue, and those of epochs: as trainings write them, and at the end of a job what is left."""
    running: dict[str, str] = {}
    told: Counter[str] = Counter()
    look = 0.0

    def epochs(key: str, about: str, curve: Mapping[str, list[float]]) -> Iterator[observers.Event]:
        for values in points_after(curve, told[key]):
            yield observers.EpochEnded(key=key, about=about, number=told[key], values=values)
            told[key] += 1

    while True:
        if time.monotonic() >= look:
            for key, about in running.items():
                yield from epochs(key, about, live_curve(key, store))
            look = time.monotonic() + _LOOK
        try:
            message = queue.get(timeout=_LOOK)
        except Empty:
            continue
        if message is None:
            break
        event = msgspec.json.decode(message, type=observers.Event)
        if isinstance(event, observers.JobBegun) and event.kind == "fit":
            running[event.key] = event.about
        elif isinstance(event, observers.JobEnded) and running.pop(event.key, None) is not None:
            yield from epochs(event.key, event.about, event.curve)
            remove_live_curve(event.key, store)
        yield event
    for key in running:  # the run was stopped
        remove_live_curve(key, store)


@contextlib.contextmanager
def _warned(watching: dict[str, Observer], text: str) -> Iterator[None]:
    """Disable an observer that raises in the block, with a warning."""
    try:
        yield
    # Any exception: it may end neither this process nor what others show. No signal raises one here.
    except BaseException as error:  # noqa: BLE001
        watching.pop(text, None)
        _warn(f"observer '{text}' is disabled for this run: {shortened(printable(raised(error)), 'left out')}")


def _warn(text: str) -> None:
    _say(f"warning: {text}")


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
