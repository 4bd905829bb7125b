"""Limits of time and memory for jobs. A worker monitors itself and ends itself if a job exceeds them."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

from ltbench.core.units import size_text
from ltbench.errors import UsageError
from ltbench.executor import Terms

_LOOK_SECONDS = 0.25
"""Seconds between reads of the memory; a read takes about 50 microseconds."""
_STDERR = 2
_PREFIX = "ltbench: the worker "


def check_enforceable(limits: Terms) -> None:
    """Raise `UsageError` if the memory of a job cannot be limited on this system."""
    if limits.memory is not None and resident(os.getpid()) is None:
        raise UsageError(
            "the memory of a job cannot be limited here",
            why="this system has no /proc, from which the memory of a worker is read",
            fix="remove --memory, and limit the whole command with ulimit or a container",
        )


@contextlib.contextmanager
def enforced(limits: Terms) -> Iterator[Callable[[], None]]:
    """Yield a function to call as each job begins. A job that exceeds the limits ends this process with a message."""

    def begin() -> None:
        if limits.timeout is not None:
            # Its thread needs no GIL, so it also ends a job that hangs in C code, and it prints the traceback.
            faulthandler.dump_traceback_later(limits.timeout, exit=True, file=_STDERR)

    ended = threading.Event()
    if limits.memory is not None:
        threading.Thread(target=_watch_memory, args=(limits, ended), daemon=True).start()
    try:
        yield begin
    finally:
        ended.set()
        faulthandler.cancel_dump_traceback_later()


def exceeded(last_words: str, limits: Terms) -> str:
    """Return how a dead worker exceeded its limits; empty if it died of another cause."""
    for line in last_words.splitlines():
        if line.startswith("Timeout ("):
            return time_exceeded(float("inf"), limits)
        if line.startswith(_PREFIX):
            return line.removeprefix(_PREFIX)
    return ""


def time_exceeded(seconds: float, limits: Terms) -> str:
    """Return how a job that takes so long exceeds the time limit; empty if it does not."""
    if limits.timeout is None or seconds <= limits.timeout:
        return ""
    return f"took more than {limits.timeout:g} s"


def memory_exceeded(pid: int, limits: Terms) -> str:
    """Return how a process exceeds the memory limit; empty if it does not."""
    used = resident(pid) or 0
    if limits.memory is None or used <= limits.memory:
        return ""
    return f"was killed: it used {size_text(used)} of memory, above the limit of {size_text(limits.memory)}"


def resident(pid: int) -> int | None:
    """Return the resident memory of a process in bytes; None if it cannot be read."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except (OSError, IndexError, ValueError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


def _watch_memory(limits: Terms, ended: threading.Event) -> None:
    while not ended.wait(_LOOK_SECONDS):
        if (excess := memory_exceeded(os.getpid(), limits)) and not ended.is_set():
            end_process(excess)


def end_process(why: str) -> NoReturn:
    """End this worker at once; the command reads why in its output. why: such as `used too much`."""
    os.write(_STDERR, f"{_PREFIX}{' '.join(why.split())}\n".encode(errors="replace"))
    os._exit(1)
