"""Writing the files of a folder of records: completely or not at all, compressed if their name says so."""

from __future__ import annotations

import uuid
from pathlib import Path

from ltbench.core import atomic_files, compressed_file
from ltbench.errors import StoreError


def write_atomic(path: Path, content: bytes, *, instead_of: Path | None = None) -> bool:
    """Write a file atomically, compressed if its name says so; return whether it changed. Raises `StoreError`.

    instead_of: the other form of the file, which is removed at the end.
    """
    atomic_files.check_regular(path)
    staging = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        changed = not _has(path, content)
        if changed:
            path.parent.mkdir(parents=True, exist_ok=True)
            atomic_files.write(staging, compressed_file.packed(path, content))
            if instead_of is not None:
                compressed_file.outdate(instead_of, staging)
            atomic_files.move(staging, path)
        if instead_of is not None:
            instead_of.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"{path} cannot be written", why=error.strerror or str(error)) from None
    finally:
        atomic_files.remove(staging)
    return changed


def _has(path: Path, content: bytes) -> bool:
    """Whether a file has this content; not if it cannot be read, so that it is written anew."""
    try:
        return compressed_file.read(path) == content
    except compressed_file.UNREADABLE:
        return False
