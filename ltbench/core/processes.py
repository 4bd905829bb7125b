"""Which processes of this machine are alive."""

from __future__ import annotations

import os
from pathlib import Path


def process_start(pid: int) -> str:
    """Return when a process of this machine started, in words that differ for another process of the same number.

    Empty where there is no such process, or where it is dead and only its parent has not noticed.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "" if Path("/proc/self/stat").exists() else _alive(pid)
    fields = text.rpartition(")")[2].split()  # what lies before may hold anything
    return "" if fields[0] in "ZX" else fields[19]


def _alive(pid: int) -> str:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass
    return "running"
