"""Records of a store that can be trusted: those that fit schema, digest and identity. Any other is set aside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ltbench.errors import RecordError
from ltbench.records import check_identity, validate
from ltbench.store import Store


def trusted(cell: str, store: Store) -> dict[str, Any] | None:
    """Return the record of a cell, or None where there is none, or one that was damaged or changed after it was made.

    That one is set aside. Raises `StoreError` where it cannot be.
    """
    record = store.record(cell)
    if record is not None:
        try:
            check(record)
        except RecordError as error:
            store.reject(cell, error.what)
            return None
    return record


def trusted_records(cells: Iterable[str], store: Store) -> Iterator[dict[str, Any]]:
    """Yield the records of those cells that have one that can be trusted, in order."""
    return (record for cell in cells if (record := trusted(cell, store)) is not None)


def check(record: dict[str, Any]) -> None:
    """Raise `RecordError` where a record is malformed, was changed, or is of another cell than it says."""
    check_identity(validate(record))
