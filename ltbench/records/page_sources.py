"""What a page is made of besides its records and facts."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ltbench.records import search_file, tuning_file, verifications

SUITE_FILE: Final = "suite.toml"
"""Copy of a suite file that is not built in, beside the page, so that the command of the page can name it."""
BESIDE: Final = (SUITE_FILE, tuning_file.FILE, search_file.FILE, verifications.FILE)
"""A copy of a page without these is another page: its rows are not tuned, its search has run everything."""


def beside(folder: Path) -> list[str]:
    """Return which of them a page has."""
    return [name for name in BESIDE if (folder / name).is_file()]
