"""The suite file next to this module."""

from __future__ import annotations

from pathlib import Path

from ltbench import hookimpl

LTBENCH_API = 1  # version of the ltbench hooks that this module implements


@hookimpl
def ltbench_suites() -> list[Path]:
    """Return the paths of the suite files. A suite has the name of its file."""
    return [Path(__file__).with_name("my_suite.toml")]
