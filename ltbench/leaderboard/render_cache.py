"""Skip rendering a page whose sources and files have not changed.

    <store>/pages/<digest of the folder>.json

A note has digests of the sources and the files of a folder. It is kept in the store, as it is valid on this machine
only; without a note the page is rendered, to the same bytes.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
from collections.abc import Iterable
from pathlib import Path

import msgspec

from ltbench.core import atomic_files, compressed_file
from ltbench.core.checksums import digest
from ltbench.executors.version_check import own_source

# Other versions may change digits or drawings.
LIBRARIES = ("numpy", "scipy", "pandas", "matplotlib")


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """Digest of the sources of a page, and of each file by its name in the folder."""

    source: str
    files: dict[str, str]


def source_digest(parts: Iterable[bytes]) -> str:
    """Return a digest of the sources of a page. parts: records, facts, verifications; code and libraries are added."""
    versions = [f"{name} {importlib.metadata.version(name)}".encode() for name in LIBRARIES]
    return digest(b"".join(bytes.fromhex(digest(part)) for part in (*parts, own_source().encode(), *versions)), 32)


def is_current(root: Path, folder: Path, source: str) -> bool:
    """Return whether the files of a folder are those rendered from `source`. root: of the store."""
    with contextlib.suppress(OSError, msgspec.MsgspecError, UnicodeDecodeError):
        note = msgspec.json.decode(_path(root, folder).read_bytes(), type=Note)
        # Not with the other form of a file, which an interrupted run left.
        forms = {form for name in note.files for form in compressed_file.forms(folder / name) if form.is_file()}
        there = set(folder.rglob("*.svg")) | forms
        return note.source == source and {_name(path, folder): _file_digest(path) for path in there} == note.files
    return False


def remember(root: Path, folder: Path, source: str, files: Iterable[Path]) -> None:
    """Write the note of a folder; if that fails, the page is rendered again next time."""
    found = {_name(path, folder): _file_digest(path) for path in files}
    path = _path(root, folder)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_files.write(path, msgspec.json.encode(Note(source=source, files=found)))


def _path(root: Path, folder: Path) -> Path:
    return root / "pages" / f"{digest(str(folder.resolve()).encode(), 32)}.json"


def _name(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()


def _file_digest(path: Path) -> str:
    return digest(path.read_bytes(), 32)
