"""Verifications: checks and reruns of records, stored beside a records file, and the records that they still cover.

    verified.json    {"schema": 1, "verifications": [...]}

A verification lists the valid cells with their result digests. It is void as soon as one of them is missing or has
other numbers; later records are self-reported until the next verification. A digest is not a signature: it shows that
nothing has changed since, but not who created it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final, Literal

import msgspec

from ltbench.core.checksums import digest
from ltbench.core.spec import canonical
from ltbench.errors import RecordError
from ltbench.records import shape
from ltbench.records.agreement import result_digest
from ltbench.records.json_file import read_json
from ltbench.records.record import Record, sealed
from ltbench.records.written_files import write_atomic

FILE: Final = "verified.json"


class Rerun(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rerun cell."""

    id: shape.Id
    same: bool
    """Whether all numbers were bit-identical."""
    gap: shape.Number
    """Absolute difference of the top-1 accuracies."""


class Verification(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One successful check of records."""

    ltbench: shape.Key
    """The version of ltbench that checked them."""
    protocols: list[shape.Key]
    cells: dict[shape.Id, shape.Digest]
    """Id -> result digest of each valid cell."""
    records: shape.Digest
    """Digest over `cells`."""
    recomputed: shape.Count
    """Cells whose metrics were recomputed from stored predictions."""
    rerun: list[Rerun]
    """The rerun cells, drawn at random."""
    seed: shape.Integer
    """Seed of the draw."""
    tolerance: shape.Number
    """Allowed difference of top-1 accuracies; None for the rule of `Agreement.within`."""
    environment: shape.Environment = {}
    """Environment of the rerun."""
    digest: shape.Digest = ""
    """SHA-256 over the canonical JSON of the verification with an empty digest, first 32 hex digits."""

    @property
    def short(self) -> str:
        """The verification as pages name it."""
        again = f"{len(self.rerun)} of {len(self.cells)} cells rerun"
        return f"ltbench {self.ltbench}, records `{self.records[:12]}`, {again}"


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    schema: Literal[1] = 1
    verifications: list[Verification] = []


class VerificationStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Which verifications of a records file still hold."""

    valid: list[Verification] = []
    void: list[tuple[Verification, str]] = []
    """Void ones, each with the id of a changed or missing cell."""

    def covers(self, record: Record) -> bool:
        """Return whether the record is verified."""
        return any(record.id in one.cells for one in self.valid)


def seal_verification(verification: Verification) -> Verification:
    """Return the verification with its digests."""
    records = digest(canonical(verification.cells), 32)
    return sealed(msgspec.structs.replace(verification, records=records))


def read_verifications(path: Path) -> list[Verification]:
    """Read the verifications beside a records file; an empty list if there is no file. Raises `RecordError`."""
    if not path.exists():
        return []
    fix = "restore the file from version control, or remove it and verify again"
    verifications = read_json(path, _File, "verifications do not follow the schema", fix).verifications
    for number, verification in enumerate(verifications, 1):
        if seal_verification(verification) != verification:
            raise RecordError("a verification was changed after it was created: its digest does not match",
                              where=f"{path}, verification {number}", fix=fix)  # fmt: skip
    return verifications


def write_verifications(path: Path, verifications: Iterable[Verification]) -> bool:
    """Write verifications in a fixed order; return whether the file changed. Without verifications, it is removed."""
    unique = {verification.digest: verification for verification in verifications}
    # An empty file would look like an empty verification.
    if not unique:
        there = path.exists()
        path.unlink(missing_ok=True)
        return there
    found = _File(
        verifications=sorted(unique.values(), key=lambda verification: (verification.records, verification.digest))
    )
    return write_atomic(path, msgspec.json.format(canonical(found), indent=1) + b"\n")


def verification_status(verifications: Iterable[Verification], records: Iterable[Record]) -> VerificationStatus:
    """Return which verifications still hold. records: all records of the file, including withdrawn ones."""
    verifications = list(verifications)
    if not verifications:
        return VerificationStatus()
    outcomes: dict[str, set[str]] = {}
    for record in records:
        outcomes.setdefault(record.id, set()).add(result_digest(record))
    changed = [
        min((cell for cell, outcome in one.cells.items() if outcomes.get(cell) != {outcome}), default=None)
        for one in verifications
    ]
    judged = list(zip(verifications, changed, strict=True))
    return VerificationStatus(
        valid=[one for one, cell in judged if cell is None],
        void=[(one, cell) for one, cell in judged if cell is not None],
    )
