"""How many cores there are for us."""

from __future__ import annotations

import os
from pathlib import Path


def cores() -> int:
    """Return the cores that this process may use: those it is bound to, or what its control group allows if less."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        return max(1, min(bound, int(quota) // int(period)))
    except (OSError, ValueError):  # no such group, or "max"
        return bound
