"""Lists the damaged files that are quarantined in a store.

    <root>/damaged/<key>-<8 hex digits>         the damaged file or folder
    <root>/damaged/<key>-<8 hex digits>.txt     the reason

All processes and machines that share the store write to this folder.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import msgspec

from ltbench.core.atomic_files import os_errors_as_store_errors

NAME = "damaged"
_REASON = ".txt"


class Damage(msgspec.Struct, frozen=True, kw_only=True):
    """A quarantined file or folder: key of the artefact or cell, path in quarantine, and reason."""

    key: str
    where: Path
    why: str


def reason_of(damaged: Path) -> Path:
    """Return the file with the reason for a quarantine."""
    return damaged.with_name(f"{damaged.name}{_REASON}")


def quarantined(root: Path) -> list[Damage]:
    """Return the quarantined files of the store at `root`, by name. Raises `StoreError` if they cannot be listed."""
    folder, damages = root / NAME, []
    with (
        os_errors_as_store_errors("the quarantine cannot be listed", folder, missing_ok=True),
        contextlib.suppress(FileNotFoundError, NotADirectoryError),
    ):
        for path in sorted(folder.iterdir()):
            if path.suffix != _REASON:
                key = path.name.rpartition("-")[0]
                damages.append(Damage(key=key, where=path, why=_reason(path, key)))
    return damages


def _reason(damaged: Path, key: str) -> str:
    try:
        text = reason_of(damaged).read_text(encoding="utf-8", errors="replace")
    except OSError:  # the process was killed before it wrote the reason, or the disk was full
        return "unknown reason"
    return text.removeprefix(f"{key}: ").strip()
