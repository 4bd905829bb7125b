"""Commands that change a page hold its lock from reading to writing."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

import click


def writing(*paths: Path) -> AbstractContextManager[None]:
    """Hold the locks of folders or files; stderr says if another command is writing one of them.

    Local pages are locked before published ones, these by name, and a README last.
    """
    from ltbench.core.folder_lock import all_locked

    return all_locked(paths, _tell)


def readme_lock(leaderboards: Path) -> Path:
    """Return what is locked while a README with tables of these leaderboards is written."""
    return leaderboards / ".README"


def _tell(sentence: str) -> None:
    click.echo(sentence, err=True)
