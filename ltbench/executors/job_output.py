"""Captures what jobs print: in a file while their task runs, then in their logs."""

from __future__ import annotations

import contextlib
import glob
import os
import socket
import sys
from pathlib import Path
from typing import Self

from ltbench.core import atomic_files
from ltbench.core.processes import process_start
from ltbench.core.text_streams import spell_what_cannot_be_encoded
from ltbench.store.store import Store

LOG_LIMIT = 200_000
"""Number of bytes kept at the end of a job's output."""


def output_path(store: Store, pid: int, host: str = "") -> Path:
    """Return the output file of a worker, by default on this machine."""
    return store.root / "logs" / f"worker-{host or socket.gethostname()}-{pid}.out"


def last_words(store: Store, host: str, pid: int) -> str:
    """Return the end of a dead worker's output, and remove the file."""
    path = output_path(store, pid, host)
    with contextlib.suppress(OSError):
        text = path.read_bytes()[-LOG_LIMIT:].decode(errors="replace")
        path.unlink()
        return text
    return ""


def remove_outputs(store: Store) -> None:
    """Remove the output files of dead workers of this machine."""
    for path in output_path(store, 0).parent.glob(f"worker-{glob.escape(socket.gethostname())}-*.out"):
        pid = path.stem.rpartition("-")[2]
        if pid.isdecimal() and not process_start(int(pid)):
            atomic_files.remove(path)


class Output:
    """Redirects stdout and stderr of this process and its children to a file in a `with` block."""

    def __init__(self, path: Path) -> None:
        self.path = path
        spell_what_cannot_be_encoded()  # printing must not fail a job
        self._file: int | None = None
        # The descriptors, not Python's streams: libraries and child processes print to those.
        self._before = (os.dup(1), os.dup(2))
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_CREAT | os.O_RDWR | os.O_TRUNC | os.O_APPEND, 0o666)
            os.dup2(self._file, 1)
            os.dup2(self._file, 2)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._size()
        for number, before in zip((1, 2), self._before, strict=True):
            os.dup2(before, number)
            os.close(before)
        if self._file is not None:
            os.close(self._file)
            atomic_files.remove(self.path)

    def clear(self) -> None:
        """Discard the output so far, and redirect again what a job may have closed or redirected."""
        if self._file is None:
            return
        with contextlib.suppress(OSError):
            for number in (1, 2):
                os.dup2(self._file, number)
            if self._size():
                os.ftruncate(self._file, 0)

    def text(self) -> str:
        """Return the output; only its end if it is long."""
        size = self._size()
        if self._file is None or not size:
            return ""
        start = max(0, size - LOG_LIMIT)
        with contextlib.suppress(OSError):
            return os.pread(self._file, size - start, start).decode(errors="replace")
        return ""

    def _size(self) -> int:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):  # a plugin may have replaced or closed them
                stream.flush()
        with contextlib.suppress(OSError):  # or its descriptor
            return 0 if self._file is None else os.fstat(self._file).st_size
        return 0
