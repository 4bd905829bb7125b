"""The built-in suites: every TOML file in this folder."""

from __future__ import annotations

from pathlib import Path

from ltbench import hookimpl


@hookimpl
def ltbench_suites() -> list[Path]:
    """Return the suite files in this folder, sorted by name."""
    return sorted(Path(__file__).parent.glob("*.toml"))
