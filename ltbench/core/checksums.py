"""Digests of bytes, and of the files of a folder, stored beside them to detect damage.

Where files are large, their modification times are kept, too: what has not been written to since need not be read.
"""

from __future__ import annotations

from hashlib import file_digest, sha256
from pathlib import Path

import msgspec

from ltbench.core import atomic_files

NAME = "digest.json"


class _Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    size: int
    sha256: str
    modified: int = 0
    """In nanoseconds; 0 if it is not kept"""


class _Manifest(msgspec.Struct, frozen=True):
    key: str
    files: dict[str, _Entry]


def digest(content: bytes, digits: int = 64) -> str:
    """Return the first hex digits of the SHA-256 of bytes."""
    return sha256(content).hexdigest()[:digits]


def seal(folder: Path, key: str, *, stamped: bool = False) -> None:
    """Flush the files of a folder and write their digests. File modes follow the umask; some libraries use 0600.

    stamped: with their modification times, for `is_as_stamped`.
    """
    manifest = folder / NAME
    manifest.touch()
    mode = manifest.stat().st_mode & 0o777
    entries = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p != manifest):
        path.chmod(mode)
        atomic_files.flush(path)
        entries[path.relative_to(folder).as_posix()] = _entry(path, stamped=stamped)
    atomic_files.write(manifest, msgspec.json.encode(_Manifest(key, entries)))
    # The names in a folder are flushed with the folder, not with its files.
    for path in (*(p for p in folder.rglob("*") if p.is_dir()), folder):
        atomic_files.flush(path)


def is_as_stamped(folder: Path, key: str) -> bool:
    """Return whether the files of a folder have the sizes and modification times of its digests. Reads none of them."""
    if (manifest := _manifest(folder)) is None or manifest.key != key:
        return False
    try:
        found = {name: (folder / name).stat() for name in manifest.files}
    except OSError:
        return False
    return all(
        entry.modified and (found[name].st_size, found[name].st_mtime_ns) == (entry.size, entry.modified)
        for name, entry in manifest.files.items()
    )


def examine(folder: Path, key: str) -> str:
    """Return how the content of a folder differs from its digests; empty if it does not."""
    manifest = _manifest(folder)
    if manifest is None:
        return f"{NAME} is missing or not readable"
    if manifest.key != key:
        return f"it is artefact {manifest.key}"
    for name, entry in manifest.files.items():
        path = folder / name
        if not path.is_file():
            return f"{name} is missing"
        # The size first: it is fast to check, and truncation is the most common damage.
        if path.stat().st_size != entry.size:
            return f"{name} has {path.stat().st_size} bytes instead of {entry.size}"
        if _entry(path).sha256 != entry.sha256:
            return f"{name} does not match its digest"
    # Ignore hidden files: network file systems keep removed files that are open as `.nfs...`.
    there = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file() and p.name[0] != "."}
    foreign = sorted(there - {NAME, *manifest.files})
    return f"unexpected file {foreign[0]}" if foreign else ""


def read_checked(folder: Path, key: str, name: str) -> bytes | None:
    """Return the content of one file of the folder, or None if it does not match its digest."""
    manifest = _manifest(folder)
    if manifest is None or manifest.key != key or name not in manifest.files:
        return None
    path = folder / name
    try:
        # Before it is read: what has another size is another file, maybe one of any size.
        if not path.is_file() or path.stat().st_size != manifest.files[name].size:
            return None
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    return content if digest(content) == manifest.files[name].sha256 else None


def _manifest(folder: Path) -> _Manifest | None:
    try:
        return msgspec.json.decode((folder / NAME).read_bytes(), type=_Manifest)
    except (FileNotFoundError, NotADirectoryError, UnicodeDecodeError, msgspec.MsgspecError):
        return None


def _entry(path: Path, *, stamped: bool = False) -> _Entry:
    stat = path.stat()
    with path.open("rb") as file:
        return _Entry(stat.st_size, file_digest(file, "sha256").hexdigest(), stat.st_mtime_ns if stamped else 0)
