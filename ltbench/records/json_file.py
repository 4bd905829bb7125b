"""Reads JSON files beside records (facts of a suite, verifications, a search), which may come from anyone."""

from __future__ import annotations

from pathlib import Path
from typing import Final, TypeVar

import msgspec

from ltbench.errors import LtbenchError, RecordError
from ltbench.records.lines import UNPARSABLE
from ltbench.records.shape import control_field, may_have_controls

MOST_BYTES: Final = 50_000_000
_Type = TypeVar("_Type")


def read_json(path: Path, kind: type[_Type], what: str, fix: str = "") -> _Type:
    """Return the content of a file. Raises `RecordError` naming the file if it is not one of this type.

    what: a sentence of the error, "verifications do not follow the schema".
    """
    if path.exists() and not path.is_file():
        raise RecordError(what, where=str(path), why="it is no regular file", fix=fix)
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise RecordError(what, where=str(path), why=error.strerror or str(error), fix=fix) from None
    if len(content) > MOST_BYTES:
        raise RecordError(what, where=str(path), why=f"it has more than {MOST_BYTES:,} bytes", fix=fix)
    try:
        found = msgspec.json.decode(content, type=kind)
        field = control_field(msgspec.json.decode(content)) if may_have_controls(content) else ""
    except UNPARSABLE as error:
        raise RecordError(what, where=str(path), why=str(error), fix=fix) from None
    except LtbenchError as error:
        raise RecordError(what, where=str(path), why=error.what, fix=fix) from None
    if field:
        raise RecordError(what, where=str(path), why=f"it has control characters in {field}", fix=fix)
    return found
