"""Where ltbench keeps things outside of a project: data sets and the store."""

from __future__ import annotations

import os
from pathlib import Path


def data_root() -> Path:
    """Return the folder that data sets live under: `$LTBENCH_DATA`, else `~/.cache/ltbench/data`."""
    return Path(os.environ.get("LTBENCH_DATA") or Path.home() / ".cache" / "ltbench" / "data")


def store_root() -> Path:
    """Return the folder of the store: `$LTBENCH_STORE`, else `~/.cache/ltbench/store`."""
    return Path(os.environ.get("LTBENCH_STORE") or Path.home() / ".cache" / "ltbench" / "store")
