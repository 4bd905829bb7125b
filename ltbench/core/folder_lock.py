"""Locks of folders and files that several commands read, change and write: one command at a time.

The lock of `leaderboards/quick` is a file in `leaderboards/.locks`, or in the folder itself if that takes no file. It is held with `flock`, so it ends with its process,
however that ends. The file stays, because removing it would let two commands hold the lock of one name.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from ltbench.core.atomic_files import OTHER_TARGET, os_errors_as_store_errors
from ltbench.errors import StoreError

FOLDER: Final = ".locks"
PATIENCE: Final = 600.0
"""Seconds to wait for another command; rendering the largest pages takes half a minute."""
QUIET: Final = 1.0
"""Seconds of waiting before it is told."""


@contextlib.contextmanager
def locked(path: Path, tell: Callable[[str], None], *, patience: float = PATIENCE) -> Iterator[None]:
    """Hold the lock of a folder or file, which need not exist; other commands wait.

    tell: is given a sentence if it takes longer. Raises `StoreError` if another command holds it for `patience` seconds.
    """
    from filelock import FileLock, Timeout  # imports asyncio, which commands that only read do not need

    place = path.resolve()
    with os_errors_as_store_errors(f"{path} cannot be written", place.parent, elsewhere=OTHER_TARGET):
        folder = _folder_of_locks(place)
        lock = FileLock(folder / place.name)
        try:
            lock.acquire(timeout=min(QUIET, patience))
        except Timeout:
            tell(f"waiting for another command that is writing {path}")
            try:
                lock.acquire(timeout=max(0.0, patience - QUIET))
            except Timeout:
                raise StoreError(
                    f"{path} is being written by another command",
                    why=f"it has held the lock {folder / place.name} for {patience:.0f} seconds",
                    fix="run this command again when the other one has ended",
                ) from None
    try:
        yield
    finally:
        lock.release()


def _folder_of_locks(place: Path) -> Path:
    """Return the folder of the lock of a place, which git ignores: beside it, or in it if nothing can be written beside it."""
    for home in (place.parent, place):
        folder = home / FOLDER
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not (folder / ".gitignore").exists():
                (folder / ".gitignore").write_text("*\n", encoding="utf-8")
        except OSError as error:
            # A mounted folder has a parent of somebody else.
            if home == place or error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS) or not place.is_dir():
                raise
        else:
            break
    return folder


@contextlib.contextmanager
def all_locked(paths: Iterable[Path], tell: Callable[[str], None]) -> Iterator[None]:
    """Hold the locks of several folders or files. All commands name them in one order, so that no two wait for each other."""
    with contextlib.ExitStack() as held:
        for path in dict.fromkeys(paths):
            held.enter_context(locked(path, tell))
        yield
