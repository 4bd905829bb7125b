"""Format and file names of a store, and how it is created."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from ltbench.core import atomic_files
from ltbench.core.atomic_files import ELSEWHERE, os_errors_as_store_errors
from ltbench.core.spec import canonical
from ltbench.errors import StoreError

FORMAT = 1
WEIGHTS = "weights.safetensors"
"""File of an artefact with the weights of a network."""
# Keys come from records of other people, and must not point outside the store.
_NAME = re.compile(r"[A-Za-z0-9_-]{3,64}\Z")


class _Format(msgspec.Struct, frozen=True):
    format: int


def checked_key(key: str) -> str:
    """Return the key if it is safe as a file name; raise `ValueError` otherwise."""
    if not _NAME.match(key):
        raise ValueError(f"{key!r} is not a valid identity of a job")
    return key


def create(root: Path) -> Path:
    """Create the store at `root` if there is none; return its folder of temporary files. Raises `OSError`."""
    staging = root / "staging"
    staging.mkdir(parents=True, exist_ok=True)
    # By rename, so that processes that start at the same time never read a partial file.
    if not (root / "store.json").exists():
        fresh = staging / f"store-{uuid.uuid4().hex}"
        atomic_files.write(fresh, msgspec.json.encode(_Format(FORMAT)))
        atomic_files.move(fresh, root / "store.json")
    return staging


def check_format(root: Path) -> None:
    """Raise `StoreError` if the format of the store is unknown to this version. A missing store is accepted."""
    path = root / "store.json"
    try:
        with os_errors_as_store_errors("the store cannot be read", path, missing_ok=True):
            version = msgspec.json.decode(path.read_bytes(), type=_Format).format
    except (FileNotFoundError, NotADirectoryError):
        return  # if a store cannot be created, the first write raises
    except (UnicodeDecodeError, msgspec.MsgspecError) as error:
        raise StoreError(
            "the store does not state its format", where=str(path), why=str(error), fix=ELSEWHERE
        ) from error
    if version > FORMAT:
        raise StoreError(
            f"the store has format {version}, but this version of ltbench supports formats up to {FORMAT}",
            where=str(path),
            fix=f"upgrade ltbench, or {ELSEWHERE}",
        )


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write JSON values, with sorted keys."""
    path.write_bytes(msgspec.json.format(canonical(values), indent=1) + b"\n")
