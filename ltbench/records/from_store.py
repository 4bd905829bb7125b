"""Records of a store that can be trusted: those that fit schema, digest and identity. Any other is set aside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ltbench.errors import RecordError
from ltbench.records.record import check_identity, validate
from ltbench.store.store import Store


def valid_record(cell: str, store: Store) -> dict[str, Any] | None:
    """Return the record of a cell, or None where there is none, or one that was damaged or changed after it was made.

    That one is set aside. Raises `StoreError` where it cannot be.
    """
    before = _signature(cell, store)
    record = store.record(cell)
    if record is not None:
        try:
            check(record)
        except RecordError as error:
            store.reject(cell, error.what)
            return None
        store.examined[cell] = before, record["status"]
    return record


def valid_status(cell: str, store: Store) -> str | None:
    """Return the status of the record that `trusted` returns, without reading again what it has just examined."""
    known = store.examined.pop(cell, None)
    if known is not None and known[0] is not None and known[0] == _signature(cell, store):
        return known[1]
    record = valid_record(cell, store)
    return None if record is None else str(record["status"])


def _signature(cell: str, store: Store) -> tuple[int, ...] | None:
    """Return what tells one file of a record from another that took its place."""
    try:
        found = store.record_path(cell).stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def valid_records(cells: Iterable[str], store: Store) -> Iterator[dict[str, Any]]:
    """Yield the records of those cells that have one that can be trusted, in order."""
    return (record for cell in cells if (record := valid_record(cell, store)) is not None)


def check(record: dict[str, Any]) -> None:
    """Raise `RecordError` where a record is malformed, was changed, or is of another cell than it says."""
    check_identity(validate(record))
