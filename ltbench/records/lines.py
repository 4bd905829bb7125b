"""Lines of files that hold a JSON object each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from ltbench.core import compressed_file
from ltbench.core.words import with_article
from ltbench.errors import RecordError

RESTORE: Final = "restore the file from version control, or remove it and run the suite again"


def read_lines(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield (place, content) of each line that is not empty, of a compressed file, too. Raises `RecordError`."""
    try:
        with compressed_file.opened(path) as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield f"{path}, line {number}", line.rstrip(b"\r\n")
    except compressed_file.UNREADABLE as error:
        why = (isinstance(error, OSError) and error.strerror) or str(error)
        raise RecordError(f"records {path} cannot be read", why=why, fix=RESTORE) from None


def parse_object(line: bytes, where: str) -> dict[str, Any]:
    """Parse the JSON object of a line; raise `RecordError` if it is not one."""
    try:
        raw = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RecordError("a line is not JSON", where=where, why=str(error), fix=RESTORE) from None
    if not isinstance(raw, dict):
        raise RecordError(
            "a line is not a record", where=where, why=f"it is {with_article(type(raw).__name__)}", fix=RESTORE
        )
    return raw
