"""Reads valid records of a store. Schema, digest and identity are checked, and invalid records are quarantined."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ltbench.errors import RecordError
from ltbench.records.checked_record import checked_record
from ltbench.store.store import Store


def valid_record(cell: str, store: Store) -> dict[str, Any] | None:
    """Return the record of a cell, or None; an invalid record is quarantined.

    Raises `StoreError` if that fails.
    """
    before = _signature(cell, store)
    record = store.record(cell)
    if record is not None:
        try:
            checked_record(record)
        except RecordError as error:
            store.reject(cell, error.what)
            return None
        store.examined[cell] = before, record["status"]
    return record


def valid_status(cell: str, store: Store) -> str | None:
    """Return the status of a valid record. A record checked by `valid_record` is not read again until it changes."""
    known = store.examined.pop(cell, None)
    if known is not None and known[0] is not None and known[0] == _signature(cell, store):
        return known[1]
    record = valid_record(cell, store)
    return None if record is None else str(record["status"])


def _signature(cell: str, store: Store) -> tuple[int, ...] | None:
    """Return inode, mtime and size of a record's file, which change when it is replaced."""
    try:
        found = store.record_path(cell).stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def valid_records(cells: Iterable[str], store: Store) -> Iterator[dict[str, Any]]:
    """Yield the valid records of cells, in order."""
    return (record for cell in cells if (record := valid_record(cell, store)) is not None)
