"""Measuring a few steps of trainings that nothing is known of, in a process of its own with one thread.

The process is this module: it reads what to measure from its standard input and writes what it found to its standard
output, a line of JSON each. So it can be killed, and nothing that it loads or draws touches the one that asks.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Self

import msgspec

from ltbench.core.plugins import PluginOrigin
from ltbench.core.spec import Job
from ltbench.errors import LtbenchError
from ltbench.executor import Context
from ltbench.running.events import Event
from ltbench.timing.estimate import Prediction

SHAPE_SECONDS = 4.0
"""About how long a few steps of one shape may take."""
TOTAL_SECONDS = 90.0
"""When no further shape is begun: what is left is predicted from those that are most like it."""
_START_SECONDS = 60.0
"""How long libraries and a data set may take to load."""
PATIENCE = 15.0
"""Seconds of a run without a prediction after which it is worth a probe: a shorter job tells by its end."""


class _Setup(msgspec.Struct, frozen=True, kw_only=True):
    store: str
    origin: PluginOrigin
    data_root: str
    device: str


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a probe found: seconds of the whole job, and multiply-adds of an image; or what went wrong."""

    seconds: float = 0.0
    macs: float = 0.0
    error: str = ""


class Prober:
    """The process that probes. Used as a context manager: it lives until its end."""

    def __init__(self, context: Context) -> None:
        self._setup = _Setup(
            store=str(context.store.root), origin=context.registry.origin, data_root=str(context.data_root),
            device=context.device,
        )  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process, where it does not run yet."""
        if self._process is None:
            from ltbench.executors.worker import ENVIRONMENT

            path = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "ltbench.running.prober"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                env={**os.environ, **ENVIRONMENT, "PYTHONPATH": path},
                start_new_session=True,  # Ctrl-C is for the one who asks
            )  # fmt: skip
            self._tell(self._setup)

    def ask(self, job: Job) -> Answer:
        """Have a few steps of a fit measured."""
        self.start()
        process = self._process
        assert process is not None
        assert process.stdout is not None
        text = b""
        with contextlib.suppress(OSError):  # it is no more
            self._tell(job)
            text = _line(process.stdout, SHAPE_SECONDS + _START_SECONDS)
        if text:
            return msgspec.json.decode(text, type=Answer)
        self.close()
        return Answer(error="the probe died, or took too long")

    def _tell(self, what: object) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode(what) + b"\n")
        self._process.stdin.flush()

    def kill(self) -> None:
        """Kill the process: whoever waits for an answer gets none."""
        if self._process is not None:
            self._process.kill()

    def close(self) -> None:
        """End the process, whatever it is doing."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def measure_all(jobs: Sequence[Job], context: Context, prediction: Prediction) -> Iterator[tuple[Job, str]]:
    """Measure these fits, one of each shape, until the time for it is over; yield each with what went wrong."""
    deadline = time.monotonic() + TOTAL_SECONDS
    with Prober(context) as prober:
        for job in jobs:
            if time.monotonic() > deadline:
                return
            answer = prober.ask(job)
            if not answer.error:
                prediction.learn_probe(job, answer.seconds, answer.macs)
            yield job, answer.error


class Patience:
    """Probes in the course of a run that has gone on for a while and whose end nobody can tell yet.

    Where trainings are short, the first one that is done is as good, and most runs never come to this. Used as a
    context manager around the run, and called with its events, in its thread.
    """

    def __init__(self, context: Context, patience: float = PATIENCE) -> None:
        """patience: seconds of a run without a prediction after which it probes."""
        self._prober, self._patience = Prober(context), patience
        self._thread: threading.Thread | None = None
        self._found: list[tuple[Job, Answer]] = []
        self._asked: set[str] = set()

    def __call__(self, event: Event) -> None:
        """Look at an event of the run."""
        tally = event.tally
        while self._found:
            job, answer = self._found.pop()
            if not answer.error:
                tally.prediction.learn_probe(job, answer.seconds, answer.macs)
        if event.kind != "tick" or tally.elapsed < self._patience or tally.eta is not None:
            return
        if self._thread is None or not self._thread.is_alive():
            unknown = [job for job in tally.left.values() if tally.estimate(job) is None]
            jobs = [job for job in tally.prediction.unmeasured(unknown) if job.key not in self._asked]
            if jobs:
                self._asked.add(jobs[0].key)
                self._prober.start()
                self._thread = threading.Thread(target=self._measure, args=(jobs[0],), daemon=True)
                self._thread.start()

    def _measure(self, job: Job) -> None:
        self._found.append((job, self._prober.ask(job)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._prober.kill()
        if self._thread is not None:
            self._thread.join()
        self._prober.close()


def _line(stream: IO[bytes], seconds: float) -> bytes:
    """Return the next line, or nothing where none comes in time. One line at a time is ever under way."""
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        return stream.readline() if selector.select(seconds) else b""


def serve() -> None:
    """Answer until nobody asks."""
    from ltbench.executors.perform import one_thread
    from ltbench.registry.registry import Registry
    from ltbench.store.store import Store

    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a plugin prints is no answer
    one_thread()
    setup = msgspec.json.decode(sys.stdin.buffer.readline(), type=_Setup)
    registry = Registry.load_origin(setup.origin)
    context = Context(
        store=Store(setup.store), registry=registry, data_root=Path(setup.data_root), device=setup.device
    )  # fmt: skip
    for text in iter(sys.stdin.buffer.readline, b""):
        answers.write(msgspec.json.encode(_answered(msgspec.json.decode(text, type=Job), context)) + b"\n")
        answers.flush()


def _answered(job: Job, context: Context) -> Answer:
    from ltbench.engine.time_probe import probe

    try:
        pace = probe(job, context, SHAPE_SECONDS)
    except LtbenchError as error:
        return Answer(error=error.what)
    except Exception as error:  # noqa: BLE001 - a plugin may raise whatever it likes
        return Answer(error=f"{type(error).__name__}: {error}")
    return Answer(seconds=pace.seconds, macs=pace.macs)


if __name__ == "__main__":
    serve()
