"""Verifications: what was examined and trained again, kept beside a records file, and which records that still covers.

    verified.json    {"schema": 1, "verifications": [...]}

A verification lists the cells that stood up to it with a digest of their numbers. It is void as soon as one of them
has other numbers or is gone; records that came later are self-reported until they are verified, too. A digest is no
signature: it says that nothing was changed since, not who made it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from ltbench.core.checksums import digest
from ltbench.core.spec import canonical
from ltbench.errors import RecordError
from ltbench.records.agreement import result_digest
from ltbench.records.record import Record, write_atomic

FILE: Final = "verified.json"


class Rerun(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A cell that was trained again."""

    id: str
    same: bool
    """Whether every number was the same, to the last bit."""
    gap: float | None
    """How far the top-1 accuracies are apart."""


class Verification(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One examination that records stood up to."""

    ltbench: str
    """The version that examined them."""
    protocols: list[str]
    cells: dict[str, str]
    """Digest of the numbers of each cell that stood up to it (`ltbench.records.agreement.result_digest`), by id."""
    records: str
    """Digest over `cells`: of the records without what depends on when and where they were made."""
    recomputed: int
    """Cells whose metrics were computed again from stored predictions."""
    rerun: list[Rerun]
    """The cells that were trained again, drawn at random."""
    seed: int
    """What they were drawn with."""
    tolerance: float | None
    """How far top-1 accuracies were allowed to be apart; None for exact on like machines and a band on unlike ones."""
    environment: dict[str, Any] = {}
    """Where they were trained again."""
    digest: str = ""
    """SHA-256 over the canonical JSON of the verification with an empty digest, first 32 hex digits."""

    @property
    def short(self) -> str:
        """The verification as a page names it."""
        again = f"{len(self.rerun)} of {len(self.cells)} cells rerun"
        return f"ltbench {self.ltbench}, records `{self.records[:12]}`, {again}"


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    schema: Literal[1] = 1
    verifications: list[Verification] = []


class VerificationStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What the verifications of a records file say of its records."""

    valid: list[Verification] = []
    void: list[tuple[Verification, str]] = []
    """Those that no longer hold, with the id of a cell that has changed or is gone."""

    def covers(self, record: Record) -> bool:
        """Whether the record is verified."""
        return any(record.id in one.cells for one in self.valid)


def seal_verification(one: Verification) -> Verification:
    """Return the verification with its digests."""
    records = digest(canonical(one.cells), 32)
    one = msgspec.structs.replace(one, records=records, digest="")
    return msgspec.structs.replace(one, digest=digest(canonical(one), 32))


def read_verifications(path: Path) -> list[Verification]:
    """Read the verifications beside a records file; none where there are none. Raises `RecordError`."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise RecordError(f"verifications {path} cannot be read", why=error.strerror or str(error)) from None
    fix = "restore the file from version control, or remove it and verify again"
    try:
        found = msgspec.json.decode(content, type=_File).verifications
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise RecordError("verifications do not follow the schema", where=str(path), why=str(error), fix=fix) from None
    for number, one in enumerate(found, 1):
        if seal_verification(one) != one:
            raise RecordError("a verification was changed after it was made: its digest does not match",
                              where=f"{path}, verification {number}", fix=fix)  # fmt: skip
    return found


def write_verifications(path: Path, verifications: Iterable[Verification]) -> bool:
    """Write verifications in a fixed order; return whether the file changed. Without any, the file is removed."""
    unique = {one.digest: one for one in verifications}
    if not unique:
        there = path.exists()
        path.unlink(missing_ok=True)
        return there
    found = _File(verifications=sorted(unique.values(), key=lambda one: (one.records, one.digest)))
    return write_atomic(path, msgspec.json.format(canonical(found), indent=1) + b"\n")


def verification_status(verifications: Iterable[Verification], records: Iterable[Record]) -> VerificationStatus:
    """Return which verifications still hold. records: all that are in the file, withdrawn ones too."""
    found = list(verifications)
    if not found:
        return VerificationStatus()
    outcomes: dict[str, set[str]] = {}
    for record in records:
        outcomes.setdefault(record.id, set()).add(result_digest(record))
    valid: list[Verification] = []
    void: list[tuple[Verification, str]] = []
    for one in found:
        changed = next((cell for cell in sorted(one.cells) if not _holds(one.cells, outcomes, cell)), None)
        if changed is None:
            valid.append(one)
        else:
            void.append((one, changed))
    return VerificationStatus(valid=valid, void=void)


def _holds(cells: Mapping[str, str], outcomes: Mapping[str, set[str]], cell: str) -> bool:
    return outcomes.get(cell) == {cells[cell]}
