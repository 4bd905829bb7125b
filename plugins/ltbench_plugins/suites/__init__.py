"""The suites that come with ltbench: every TOML file of this folder."""

from __future__ import annotations

from pathlib import Path

from ltbench import hookimpl


@hookimpl
def ltbench_suites() -> list[Path]:
    """Return the suite files of this folder, by name."""
    return sorted(Path(__file__).parent.glob("*.toml"))
