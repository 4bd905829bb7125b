"""A question: the suite file beside this module."""

from __future__ import annotations

from pathlib import Path

from ltbench import hookimpl

LTBENCH_API = 1  # the version of ltbench's hooks that this module is written for


@hookimpl
def ltbench_suites() -> list[Path]:
    """Return the paths of the suite files; the name of a suite is that of its file."""
    return [Path(__file__).with_name("my_suite.toml")]
