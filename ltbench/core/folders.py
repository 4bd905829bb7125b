"""Folders of data sets and of the store on this machine, and the number of cores."""

from __future__ import annotations

import os
from pathlib import Path

from ltbench.errors import UsageError


def data_root() -> Path:
    """Return the parent folder of data sets: `$LTBENCH_DATA`, else `data` in the cache folder of this system."""
    return Path(os.environ.get("LTBENCH_DATA") or _cache("data", "LTBENCH_DATA"))


def store_root() -> Path:
    """Return the folder of the store: `$LTBENCH_STORE`, else `store` in the cache folder of this system."""
    return Path(os.environ.get("LTBENCH_STORE") or _cache("store", "LTBENCH_STORE"))


def _cache(name: str, variable: str) -> Path:
    """Return a folder in the cache folder of this system, or where earlier versions had it if only that is there."""
    from platformdirs import user_cache_path

    try:
        folder = user_cache_path("ltbench", appauthor=False) / name
        if not folder.is_absolute():  # before platformdirs 4.10, which raises
            raise RuntimeError
    except RuntimeError:
        raise UsageError(
            "this user has no home directory", why="neither $HOME nor the list of users names one",
            fix=f"set ${variable} to a folder that you can write to",
        ) from None  # fmt: skip
    try:
        earlier = Path.home() / ".cache" / "ltbench" / name
    except RuntimeError:  # no home, but $XDG_CACHE_HOME
        return folder
    return earlier if earlier.is_dir() and not folder.exists() else folder


def package_root() -> Path:
    """Return the folder that `ltbench` is imported from."""
    return Path(__file__).parents[1]


def docs_folder() -> Path:
    """Return the folder of the documentation: inside an installed package, beside the package in a clone."""
    inside = package_root() / "docs"
    return inside if inside.is_dir() else package_root().parent / "docs"


def cores() -> int:
    """Return the number of cores that this process may use, from its affinity and the limit of its control group."""
    # macOS has no affinity.
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        return max(1, min(bound, int(quota) // int(period)))
    except (OSError, ValueError):  # no such group, or "max"
        return bound
