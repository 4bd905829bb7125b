"""Files of a page that are stored compressed beyond a size: `records.jsonl` or `records.jsonl.gz`.

The size of the content alone decides, so the same content always has the same form. Contents are compared, never compressed
bytes, as another zlib compresses to other bytes.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

LIMIT: Final = 5_000_000
"""Bytes of content that are still stored as they are."""
SUFFIX: Final = ".gz"
UNREADABLE: Final = (OSError, EOFError, zlib.error)
"""What reading raises: no such file, a truncated or a damaged one."""
_MAGIC = b"\x1f\x8b"
# Level 9 takes twenty times as long for confusion matrices of a hundred classes, and saves 8 %.
_LEVEL = 6


def forms(path: Path) -> tuple[Path, Path]:
    """Return the names of both forms of a file, given either: plain, then compressed. `.` and `/` are no files, and have one."""
    if not path.name:
        return path, path
    plain = path.with_name(path.name.removesuffix(SUFFIX))
    return plain, plain.with_name(plain.name + SUFFIX)


def form_for(path: Path, content: bytes) -> Path:
    """Return the name of the form in which a content is stored. path: of either form."""
    return forms(path)[len(content) > LIMIT]


def stored(path: Path) -> Path:
    """Return the form of a file that exists, or the plain name if none does. path: of either form.

    Both exist if the change of the form was interrupted, each of them whole. The newer one counts: `outdate` sees to it
    that this is the one that was written last.
    """
    there = []
    for each in forms(path):
        # Another process may just remove one.
        with contextlib.suppress(OSError):
            found = each.stat()
            there += [(found.st_mtime_ns, each)] * stat.S_ISREG(found.st_mode)
    return max(there)[1] if there else forms(path)[0]


def outdate(other: Path, fresh: Path) -> None:
    """Make a file that is not in its place yet newer than the one that it will supersede, whatever the clock says."""
    with contextlib.suppress(FileNotFoundError):
        old, new = other.stat().st_mtime_ns, fresh.stat().st_mtime_ns
        if new <= old:
            # Some file systems count in steps of two seconds.
            os.utime(fresh, ns=(old + 2_000_000_000,) * 2)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[io.BufferedIOBase]:
    """Open a file for reading, whichever form it has. Reading it raises `UNREADABLE`."""
    with path.open("rb") as file:
        if file.peek(len(_MAGIC)).startswith(_MAGIC):
            with gzip.GzipFile(fileobj=file) as content:
                yield content
        else:
            yield file


def read(path: Path) -> bytes:
    """Return the content of a file, whichever form it has."""
    with opened(path) as file:
        return file.read()


def packed(path: Path, content: bytes) -> bytes:
    """Return the bytes of a file with this content, by its name; they have no date and no name."""
    if path.suffix != SUFFIX:
        return content
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=_LEVEL, fileobj=buffer, mtime=0) as file:
        file.write(content)
    return buffer.getvalue()
