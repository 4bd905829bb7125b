"""Finds out which processes of this machine are alive."""

from __future__ import annotations

import os
from pathlib import Path


def process_start(pid: int) -> str:
    """Return the start time of a process, which distinguishes it from a later process with the same id.

    Empty if there is no such process or it is a zombie. Without /proc, "running" if it is alive.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "" if Path("/proc/self/stat").exists() else _alive(pid)
    fields = text.rpartition(")")[2].split()  # the name before it may contain spaces and brackets
    return "" if fields[0] in "ZX" else fields[19]


def _alive(pid: int) -> str:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass  # a process of another user
    return "running"
