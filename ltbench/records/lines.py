"""Lines of files that hold a JSON object each."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from ltbench.core import compressed_file
from ltbench.core.words import with_article
from ltbench.errors import RecordError

LONGEST: Final = 64_000_000
"""Most bytes of a line: a record of a thousand classes with a dense confusion matrix has four million."""
MOST_BAD: Final = 100_000
"""Most malformed or empty lines of a file that is still read to its end; a small compressed file may have billions."""
RESTORE: Final = "restore the file from version control, or remove it and run the suite again"


UNPARSABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What parsing JSON raises, of too many brackets, too."""
_skipped: ContextVar[dict[str, RecordError] | None] = ContextVar("skipped", default=None)
_Entry = TypeVar("_Entry")


@contextlib.contextmanager
def skipping_bad_lines() -> Iterator[dict[str, RecordError]]:
    """Have readers in the block go on after a malformed line; yields the errors of these, by file and line.

    Without it, the first one raises. So what writes a file back never drops a line of it.
    """
    skipped: dict[str, RecordError] = {}
    token = _skipped.set(skipped)
    try:
        yield skipped
    finally:
        _skipped.reset(token)


@contextlib.contextmanager
def needing_all_lines() -> Iterator[None]:
    """Have readers in the block raise the error of the first malformed line."""
    token = _skipped.set(None)
    try:
        yield
    finally:
        _skipped.reset(token)


def parsed_lines(lines: Iterable[tuple[str, bytes]], parse: Callable[[bytes, str], _Entry]) -> Iterator[_Entry]:
    """Yield what lines contain. Raises the `RecordError` of `parse`, or skips the line (`skipping_bad_lines`)."""
    for where, line in lines:
        try:
            yield parse(line, where)
        except RecordError as error:
            skipped = _skipped.get()
            if skipped is None or len(skipped) >= MOST_BAD:
                raise
            skipped[where] = error


def check_length(line: bytes, where: str) -> None:
    """Raise `RecordError` if a line is too long."""
    if len(line) > LONGEST:
        raise RecordError(f"a line has more than {LONGEST:,} bytes", where=where, fix=RESTORE)


def read_lines(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield (place, content) of each line that is not empty, of a compressed file, too. Raises `RecordError`."""
    try:
        with compressed_file.opened(path) as lines:
            empty = 0
            for number in itertools.count(1):
                # Of a longer line just enough to be refused; it may be all of the memory.
                line = lines.readline(LONGEST + 2)
                if not line:
                    return
                if line.strip():
                    yield f"{path}, line {number}", line.rstrip(b"\r\n")
                elif (empty := empty + 1) > MOST_BAD:
                    raise RecordError(f"records {path} have more than {MOST_BAD:,} empty lines", fix=RESTORE)
                while line and not line.endswith(b"\n"):
                    line = lines.readline(LONGEST)
    except compressed_file.UNREADABLE as error:
        why = (isinstance(error, OSError) and error.strerror) or str(error)
        raise RecordError(f"records {path} cannot be read", why=why, fix=RESTORE) from None


def parse_object(line: bytes, where: str) -> dict[str, Any]:
    """Parse the JSON object of a line; raise `RecordError` if it is not one."""
    check_length(line, where)
    try:
        raw = msgspec.json.decode(line)
    except UNPARSABLE as error:
        raise RecordError("a line is not JSON", where=where, why=str(error), fix=RESTORE) from None
    if not isinstance(raw, dict):
        raise RecordError(
            "a line is not a record", where=where, why=f"it is {with_article(type(raw).__name__)}", fix=RESTORE
        )
    return raw
