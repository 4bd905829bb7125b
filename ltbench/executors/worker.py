"""What goes on inside of a worker process: one thread, a registry loaded once, a log for each job that has one."""

from __future__ import annotations

import contextlib
import faulthandler
import glob
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from ltbench.core import atomic_files
from ltbench.core.plugins import PluginOrigin
from ltbench.core.processes import process_start
from ltbench.core.spec import Job
from ltbench.executor import Context, Outcome, Work
from ltbench.executors.perform import perform, prepared
from ltbench.executors.version_check import Versions, greet
from ltbench.registry.registry import Registry
from ltbench.registry.source_digest import source_digest
from ltbench.store.store import Store

# Results must not depend on how many cores a machine has, and processes with one thread each use it best.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    # glibc gives every activation back to the kernel and asks for it again in the next step; keeping the memory makes
    # a training up to a third faster and changes no number. Read when the process starts.
    "MALLOC_MMAP_THRESHOLD_": str(4 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(16 << 30),
    "MALLOC_TOP_PAD_": str(256 << 20),
}
LOG_LIMIT = 200_000
"""Bytes of a job's output that are kept: the last ones."""
_WATCH_SECONDS = 0.5


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker makes its context from."""

    store: Store
    origin: PluginOrigin
    data_root: Path
    device: str
    work: str
    parent: int = 0
    """The process that a local worker must not outlive."""


class Ready:
    """What a worker process makes once of its setup."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self._made: tuple[Context, Work] | None = None

    def __call__(self) -> tuple[Context, Work]:
        """Load the registry when the first job asks for it, where what goes wrong is that job's error."""
        if self._made is None:
            setup = self.setup
            registry = Registry.load_origin(setup.origin)
            for entry in registry.entries.values():
                source_digest(entry.technique)  # now: later the file may not be the one that was loaded
            context = Context(store=setup.store, registry=registry, data_root=setup.data_root, device=setup.device)
            self._made = context, prepared(setup.work)
        return self._made


_worker: tuple[Ready, Output] | None = None


def start(setup: Setup) -> None:
    """Make this process a worker. Raises nothing, as the pool would start another one for ever."""
    global _worker  # noqa: PLW0603 - a process is one worker
    threading.Thread(target=_watch, args=(setup.parent,), daemon=True).start()
    _worker = Ready(setup), Output(output_path(setup.store, os.getpid()))
    faulthandler.enable()


def run(jobs: Sequence[Job], versions: Versions) -> list[Outcome]:
    """Do a task for a command that has these versions, and return its outcomes. Raises `WorkerRefused`."""
    assert _worker is not None, "a worker is started before it is given a task"
    ready, output = _worker
    context, work = ready()
    greet(versions, context.registry, where=f"worker process {os.getpid()}")
    return do(jobs, context, work, output)


def do(
    jobs: Sequence[Job], context: Context, work: Work, output: Output, before: Callable[[], None] = lambda: None
) -> list[Outcome]:
    """Do jobs, each after a call of `before`; keep what a job printed if it printed anything or failed."""
    outcomes = []
    output.clear()
    steps = perform(jobs, context, work)
    before()
    for outcome in steps:
        outcomes.append(outcome)
        log = output.text() + (outcome.error["log"] if outcome.error else "")
        if log:
            context.store.put_log(outcome.key, log)
        output.clear()
        before()
    return outcomes


def output_path(store: Store, pid: int, host: str = "") -> Path:
    """Return the file that a worker prints to, of this machine by default: the last words of one that was killed."""
    return store.root / "logs" / f"worker-{host or socket.gethostname()}-{pid}.out"


def remove_outputs(store: Store) -> None:
    """Remove what workers of this machine that are no more printed to."""
    for path in output_path(store, 0).parent.glob(f"worker-{glob.escape(socket.gethostname())}-*.out"):
        pid = path.stem.rpartition("-")[2]
        if pid.isdecimal() and not process_start(int(pid)):
            atomic_files.remove(path)


class Output:
    """What this process prints, at whatever level: a file in place of stdout and stderr, until it is closed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None
        self._before = (os.dup(1), os.dup(2))
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_CREAT | os.O_RDWR | os.O_TRUNC | os.O_APPEND, 0o666)
            os.dup2(self._file, 1)
            os.dup2(self._file, 2)

    def close(self) -> None:
        """Print to where it was before, and remove the file."""
        self._size()
        for number, before in zip((1, 2), self._before, strict=True):
            os.dup2(before, number)
            os.close(before)
        if self._file is not None:
            os.close(self._file)
            atomic_files.remove(self.path)

    def clear(self) -> None:
        """Forget what was printed so far."""
        if self._file is not None and self._size():
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, 0)

    def text(self) -> str:
        """Return what was printed, the end of it where that is much."""
        size = self._size()
        if self._file is None or not size:
            return ""
        start = max(0, size - LOG_LIMIT)
        with contextlib.suppress(OSError):
            return os.pread(self._file, size - start, start).decode(errors="replace")
        return ""

    def _size(self) -> int:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        return 0 if self._file is None else os.fstat(self._file).st_size


def _watch(parent: int) -> None:
    """End this process as soon as its parent is gone: nobody wants what an orphan is doing."""
    while os.getppid() == parent:
        time.sleep(_WATCH_SECONDS)
    os._exit(1)
