"""A records file: valid records, and withdrawn ones with the reason.

An invalidation is a line among the records. It names a cell and the digest of the withdrawn numbers, so a new record of
the cell with other numbers counts again. Withdrawn records stay in the file.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from ltbench.core import compressed_file
from ltbench.core.collector import without_collector
from ltbench.core.spec import canonical
from ltbench.errors import RecordError
from ltbench.records import shape
from ltbench.records.agreement import result_digest, same_results
from ltbench.records.checked_record import checked_record, parsed_record
from ltbench.records.lines import parse_object, parsed_lines, read_lines
from ltbench.records.record import Record, sealed, sort_key
from ltbench.records.written_files import write_atomic

FILE: Final = "records.jsonl"
"""In a suite's folder `records.jsonl.gz` if it is large (`ltbench.core.compressed_file`)."""


class Invalidation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The withdrawal of the numbers of a cell."""

    schema: Literal[1] = 1
    kind: Literal["invalidation"] = "invalidation"
    id: shape.Id
    """Id of the cell."""
    outcome: shape.Digest
    """`result_digest` of the withdrawn record."""
    reason: shape.Line
    by: shape.Line = ""
    digest: shape.Digest = ""
    """SHA-256 over the canonical JSON of the invalidation with an empty digest, first 32 hex digits."""


class RecordsFile(msgspec.Struct, frozen=True, kw_only=True):
    """The content of a records file, in a fixed order."""

    records: list[Record]
    """Records that are not withdrawn."""
    withdrawn: list[Record] = []
    invalidations: list[Invalidation] = []

    @property
    def all_records(self) -> list[Record]:
        """All records, including withdrawn ones."""
        return [*self.records, *self.withdrawn]

    def reasons(self, record: Record) -> list[Invalidation]:
        """Return the invalidations of a record."""
        mine = (record.id, result_digest(record))
        return [invalidation for invalidation in self.invalidations if (invalidation.id, invalidation.outcome) == mine]


def records_file(
    records: Iterable[Record], invalidations: Iterable[Invalidation] = (), *, withdrawn_elsewhere: Iterable[Record] = ()
) -> RecordsFile:
    """Sort records and invalidations, and separate withdrawn records from the others.

    A record that only adds metrics to a withdrawn record is withdrawn, too, and only the original is kept.
    withdrawn_elsewhere: withdrawn records of other files.
    """
    unique = sorted(
        {invalidation.digest: invalidation for invalidation in invalidations}.values(),
        key=lambda invalidation: (invalidation.id, invalidation.digest),
    )
    marked = {(invalidation.id, invalidation.outcome) for invalidation in unique}
    cells = {invalidation.id for invalidation in unique}
    ordered = sorted(records, key=sort_key)
    # The digest is slow, and few cells are ever withdrawn.
    affected = [record for record in (*ordered, *withdrawn_elsewhere) if record.id in cells]
    known = {mark: one for one in reversed(affected) if (mark := (one.id, result_digest(one))) in marked}
    own = {one.digest for one in ordered}
    return RecordsFile(
        records=[
            record
            for record in ordered
            if record.id not in cells
            or not any(record.id == one.id and same_results(record, one) for one in known.values())
        ],
        withdrawn=[one for one in reversed(known.values()) if one.digest in own],
        invalidations=unique,
    )


def invalidate(record: Record, reason: str, by: str = "") -> Invalidation:
    """Return the sealed invalidation of a record. Raises `RecordError` without a reason."""
    reason, by = " ".join(reason.split()), " ".join(by.split())
    if not reason:
        raise RecordError("an invalidation needs a reason, which the page shows", where=f"cell {record.id}")
    return sealed(Invalidation(id=record.id, outcome=result_digest(record), reason=reason, by=by))


def read_records_file(path: Path) -> RecordsFile:
    """Read and check every line of a records file. Raises `RecordError` naming file, line and field (`parsed_lines`)."""
    return of_entries(parsed_lines(read_lines(path), parse_line))


def of_entries(entries: Iterable[Record | Invalidation]) -> RecordsFile:
    """Return a records file with these entries, in any order."""
    with without_collector():
        entries = list(entries)
    invalidations = [entry for entry in entries if isinstance(entry, Invalidation)]
    return records_file((entry for entry in entries if isinstance(entry, Record)), invalidations)


def parse_line(text: bytes, where: str) -> Record | Invalidation:
    """Parse and check a line of a records file. Raises `RecordError` naming `where` and the field."""
    if (record := parsed_record(text, where)) is not None:
        return record
    raw = parse_object(text, where)
    return _checked(raw, where) if raw.get("kind") == "invalidation" else checked_record(raw, where)


def _checked(raw: dict[str, Any], where: str) -> Invalidation:
    """Return an invalidation, checked against schema and digest. Raises `RecordError`."""
    try:
        invalidation = msgspec.convert(raw, Invalidation)
    except msgspec.ValidationError as error:
        raise RecordError("an invalidation does not follow the schema", where=where, why=str(error)) from None
    if field := shape.control_field(raw):
        raise RecordError(f"an invalidation has control characters in {field}", where=where)
    if sealed(invalidation).digest != invalidation.digest:
        raise RecordError("an invalidation was changed after it was created: its digest does not match", where=where)
    return invalidation


def records_path(folder: Path) -> Path:
    """Return the records file of a suite's folder, in the form that exists: compressed or not."""
    return compressed_file.stored(folder / FILE)


def write_records_file(path: Path, content: RecordsFile) -> Path:
    """Write a records file atomically; return its name.

    That of a suite's folder is compressed if it is large, and the other form is removed; other files keep their names.
    """
    text = encode(content)
    plain, packed = compressed_file.forms(path)
    if plain.name == FILE:
        path = compressed_file.form_for(path, text)
        write_atomic(path, text, instead_of=plain if path == packed else packed)
    else:
        write_atomic(path, text)
    return path


def encode(content: RecordsFile) -> bytes:
    """Return a records file as bytes."""
    records = sorted(content.all_records, key=sort_key)
    lines: list[Record | Invalidation] = [*records, *content.invalidations]
    return b"".join(canonical(each) + b"\n" for each in lines)
