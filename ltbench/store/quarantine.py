"""What was found damaged in a store, as the folder of what was set aside tells it.

    <root>/damaged/<key>-<8 hex digits>         what was found
    <root>/damaged/<key>-<8 hex digits>.txt     why it was set aside

The folder is the one place that every process and machine that shares the store writes to.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import msgspec

from ltbench.core.atomic_files import os_errors_as_store_errors

NAME = "damaged"
_REASON = ".txt"


class Damage(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was found damaged and set aside: key of the artefact or cell, where it lies now, and why."""

    key: str
    where: Path
    why: str


def reason_of(aside: Path) -> Path:
    """Return the file that says why something was set aside."""
    return aside.with_name(f"{aside.name}{_REASON}")


def quarantined(root: Path) -> list[Damage]:
    """Return what is set aside in the store at `root`, by name. Raises `StoreError` where that cannot be read."""
    folder, found = root / NAME, []
    with (
        os_errors_as_store_errors("what was set aside cannot be listed", folder, missing_ok=True),
        contextlib.suppress(FileNotFoundError, NotADirectoryError),
    ):
        for path in sorted(folder.iterdir()):
            if path.suffix != _REASON:
                key = path.name.rpartition("-")[0]
                found.append(Damage(key=key, where=path, why=_why(path, key)))
    return found


def _why(aside: Path, key: str) -> str:
    try:
        text = reason_of(aside).read_text(encoding="utf-8", errors="replace")
    except OSError:  # whoever set it aside was killed before it could say why, or the disk was full
        return "the reason was not written down"
    return text.removeprefix(f"{key}: ").strip()
