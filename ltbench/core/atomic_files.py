"""Writes files atomically, and explains why a write failed."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import stat
import uuid
from collections.abc import Collection, Iterator
from pathlib import Path

from ltbench.errors import LtbenchError, StoreError

ELSEWHERE = "point $LTBENCH_STORE or --store at another folder"
"""The fix of last resort for any problem with the disk of the store."""
OTHER_TARGET = "give another place to write to"
"""That for a place that the user named, outside the store."""
_PLAIN = {errno.ENOSPC: "the disk is full", errno.EDQUOT: "the quota is used up"}
_FIXES = {
    errno.EROFS: "mount it writable, or {elsewhere}",
    errno.ENOSPC: "free some space, or {elsewhere}; then run the same command to continue",
    errno.EDQUOT: "free some of the quota, or {elsewhere}; then run the same command to continue",
    errno.EFBIG: "raise the limit on file sizes, or {elsewhere}",
    **dict.fromkeys((errno.EACCES, errno.EPERM), "make it readable and writable for this user, or {elsewhere}"),
    errno.EIO: "check the disk, or {elsewhere}",
    errno.EEXIST: "a file, or a link to nothing, is in its place: remove that, or {elsewhere}",
    errno.ENOTDIR: "a part of its path is a file: remove that, or {elsewhere}",
}
_NATIVE = re.compile(r"\(os error (\d+)\)")
"""Libraries written in Rust, such as safetensors, put the error number into the message."""
REFUSALS = frozenset((errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO))
"""Errors of a disk that accepts no more writes; other errors may not concern the store."""
_MISSING = (errno.ENOENT, errno.ENOTDIR)


@contextlib.contextmanager
def os_errors_as_store_errors(
    what: str,
    where: Path,
    *,
    only: Collection[int] | None = None,
    missing_ok: bool = False,
    elsewhere: str = ELSEWHERE,
) -> Iterator[None]:
    """Convert an OSError raised in the block to a `StoreError` with cause and fix.

    only: the error numbers to convert; all by default. missing_ok: do not convert the error of a missing file.
    elsewhere: how another place is given, if `where` is not in the store.
    """
    try:
        yield
    except LtbenchError:
        raise
    except Exception as error:
        number = _system_error(error)
        if number is None or (only is not None and number not in only) or (missing_ok and number in _MISSING):
            raise
        plain, system = _PLAIN.get(number), os.strerror(number)
        why = f"{plain}: {system}" if plain else system
        raise StoreError(
            what, where=str(where), why=why, fix=_FIXES.get(number, "{elsewhere}").format(elsewhere=elsewhere)
        ) from error


def check_writable(folder: Path, what: str, *, fix: str) -> None:
    """Raise `StoreError` if no file can be written to a folder, which need not exist. Leaves no file.

    what: will be written there, such as "the leaderboard". fix: of the error.
    """
    place = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if os.path.lexists(parent))
    probe = place / f".ltbench-{uuid.uuid4().hex}"
    try:
        write(probe, bytes(4096))  # a whole block, because a full disk may accept an empty file
    except OSError as error:
        raise StoreError(
            f"{what} cannot be written", where=str(place), why=os.strerror(error.errno or 0), fix=fix
        ) from error
    finally:
        remove(probe)


def is_disk_full(error: StoreError) -> bool:
    """Whether further writes will fail: the disk is full, read-only, over quota or broken."""
    cause = error.__cause__
    return cause is not None and _system_error(cause) in REFUSALS


def _system_error(error: BaseException) -> int | None:
    if isinstance(error, OSError):
        return error.errno or errno.EIO
    native = _NATIVE.search(str(error))
    return int(native.group(1)) if native else None


def flush(path: Path) -> None:
    """Flush the content of a file, or the entries of a folder, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        # Some network file systems cannot flush a folder.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)


def write(path: Path, content: bytes) -> None:
    """Write a new file and flush it. Use a temporary name and rename it, so that readers never see a partial file."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def check_regular(path: Path) -> None:
    """Raise `StoreError` if what is at a path is no regular file: replacing it would end a device, a pipe or a link."""
    try:
        mode = path.lstat().st_mode
    except OSError:
        return
    if stat.S_ISREG(mode):
        return
    kinds = (
        (stat.S_ISLNK, "a symbolic link"),
        (stat.S_ISDIR, "a folder"),
        (stat.S_ISFIFO, "a pipe"),
        (stat.S_ISSOCK, "a socket"),
    )
    kind = next((name for test, name in kinds if test(mode)), "a device")
    raise StoreError(f"{path} cannot be written", why=f"it is {kind}, and only regular files are replaced",
                     fix="give another name, or remove it")  # fmt: skip


def replace(path: Path, content: bytes, *, flushed: bool = True) -> None:
    """Replace a file through a temporary one beside it, so that readers see either its old or its new content."""
    check_regular(path)
    fresh = path.with_name(f".{path.stem}-{uuid.uuid4().hex}")
    try:
        if flushed:
            write(fresh, content)
        else:
            fresh.write_bytes(content)
        fresh.replace(path)
    finally:
        remove(fresh)


def move(source: Path, target: Path) -> None:
    """Rename `source` to `target`, creating its folder. An existing file is replaced, a folder is not."""
    # The folder almost always exists, and every call is a round trip on a network disk.
    try:
        source.rename(target)
    except FileNotFoundError:
        target.parent.mkdir(parents=True, exist_ok=True)
        source.rename(target)


def remove(path: Path) -> None:
    """Remove a file or a folder if possible; never raises."""
    with contextlib.suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()
