"""Folders of data sets and of the store on this machine, and the number of cores."""

from __future__ import annotations

import os
from pathlib import Path


def data_root() -> Path:
    """Return the parent folder of data sets: `$LTBENCH_DATA`, else `~/.cache/ltbench/data`."""
    return Path(os.environ.get("LTBENCH_DATA") or Path.home() / ".cache" / "ltbench" / "data")


def store_root() -> Path:
    """Return the folder of the store: `$LTBENCH_STORE`, else `~/.cache/ltbench/store`."""
    return Path(os.environ.get("LTBENCH_STORE") or Path.home() / ".cache" / "ltbench" / "store")


def package_root() -> Path:
    """Return the folder that `ltbench` is imported from."""
    return Path(__file__).parents[1]


def cores() -> int:
    """Return the number of cores that this process may use, from its affinity and the limit of its control group."""
    # macOS has no affinity.
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        return max(1, min(bound, int(quota) // int(period)))
    except (OSError, ValueError):  # no such group, or "max"
        return bound
