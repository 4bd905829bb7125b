"""Locations of records (a records file, a suite's folder, a store), and look-up of cells by the start of their id."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from ltbench.core import compressed_file
from ltbench.errors import RecordError, UnknownName, UsageError, nearest
from ltbench.records.lines import parsed_lines, read_lines
from ltbench.records.record import Record
from ltbench.records.records_file import (
    FILE,
    Invalidation,
    RecordsFile,
    of_entries,
    parse_line,
    records_file,
    records_path,
)
from ltbench.store.store import Store

_ID = re.compile(r"[0-9a-f]{1,32}\Z")
_LISTED = 10
LOCAL = "local"
"""Subfolder of the leaderboards with local pages; the others are published."""


class RecordsLocation(msgspec.Struct, frozen=True, kw_only=True):
    """A records file, a suite's folder or a store."""

    path: Path
    """The file or folder, as the user wrote it."""
    kind: Literal["file", "suite", "store"]

    @property
    def file(self) -> Path:
        """The records file; a store has none."""
        return records_path(self.path) if self.kind == "suite" else self.path

    def lines(self, beginning: str = "") -> Iterator[tuple[str, bytes]]:
        """Yield (place, unchecked JSON) of each record whose id starts with `beginning`."""
        if self.kind == "store":
            store = Store(self.path)
            yield from ((str(path), path.read_bytes()) for path in map(store.record_path, store.cells(beginning)))
        else:
            mark = re.compile(rb'"id"\s*:\s*"' + beginning.encode())
            yield from (line for line in read_lines(self.file) if not beginning or mark.search(line[1]))

    def records_file(self) -> RecordsFile:
        """Read the records, without the trials and first parts of trainings in a store, which are on no page.

        Raises `RecordError` naming file, line and field.
        """
        entries = parsed_lines(self.lines(), parse_line)
        return of_entries(one for one in entries if not (isinstance(one, Record) and one.is_partial))


class FoundCell(msgspec.Struct, frozen=True, kw_only=True):
    """A cell, and all locations that have it. `record` is from the first one."""

    record: Record
    places: list[RecordsLocation]
    invalidations: list[Invalidation]


def location(path: Path) -> RecordsLocation:
    """Return the location at a path. Raises `UsageError` if it has no records."""
    if path.is_file():
        return RecordsLocation(path=path, kind="file")
    if records_path(path).is_file():
        return RecordsLocation(path=path, kind="suite")
    if (other := compressed_file.stored(path)).is_file():
        return RecordsLocation(path=other, kind="file")
    if (path / "store.json").is_file() or (path / "records").is_dir():
        return RecordsLocation(path=path, kind="store")
    raise UsageError(
        f"no records at {path}",
        why="it does not exist" if not path.exists() else f"it is a folder without {FILE}, and not a store",
        fix=f"give a {FILE}, the folder of a suite, or a store",
    )


def find_location(text: str, leaderboards: Path) -> RecordsLocation:
    """Return the location of a leaderboard's name or of a path; for a name used twice, the published one.

    Raises `UnknownName` with the nearest leaderboards, or `UsageError`.
    """
    if folders := named(text, leaderboards):
        return location(folders[0])
    path = Path(text)
    if path.exists() or path.parent != Path() or path.suffix:
        return location(path)
    raise unknown_leaderboard(text, leaderboards)


def can_be_name(text: str) -> bool:
    """Whether a text can name a leaderboard: a path below their folder."""
    parts = Path(text).parts
    return bool(parts) and not Path(text).is_absolute() and ".." not in parts


def named(name: str, leaderboards: Path) -> list[Path]:
    """Return the folders with records of a leaderboard's name: the published one, then the local one.

    `local/NAME` gives only the local one.
    """
    if not can_be_name(name):
        return []
    candidates = (leaderboards / name, leaderboards / LOCAL / name)
    return [folder for folder in candidates if records_path(folder).is_file()]


def unknown_leaderboard(name: str, leaderboards: Path) -> UnknownName:
    """Return the error for a name without a leaderboard, with the nearest ones."""
    known = (place.path.relative_to(leaderboards).as_posix() for place in pages(leaderboards))
    return UnknownName.of("leaderboard", name, known, where=str(leaderboards))


def published(leaderboards: Path) -> list[RecordsLocation]:
    """Return the folders of published leaderboards below a folder, by name."""
    if not leaderboards.is_dir():
        return []
    found = {path.parent for form in compressed_file.forms(Path(FILE)) for path in leaderboards.glob(f"*/{form}")}
    return [RecordsLocation(path=folder, kind="suite") for folder in sorted(found)]


def pages(leaderboards: Path) -> list[RecordsLocation]:
    """Return the folders of all leaderboards below a folder: published ones, then local ones."""
    return [*published(leaderboards), *published(leaderboards / LOCAL)]


def places(leaderboards: Path, store: Path) -> list[RecordsLocation]:
    """Return the default locations of a cell: published leaderboards, local ones, then the store."""
    return [
        *pages(leaderboards),
        *([RecordsLocation(path=store, kind="store")] if (store / "records").is_dir() else []),
    ]


def find_cell(beginning: str, among: Sequence[RecordsLocation]) -> FoundCell:
    """Return the cell whose id starts with `beginning`. Raises `UsageError` unless there is exactly one.

    The record is from the first location with a record that is not withdrawn, or else from the first one.
    """
    asked = beginning.strip().lower()
    if not _ID.match(asked):
        raise UsageError(f"'{beginning}' is not the id of a cell", why="ids are up to 32 digits of 0-9 and a-f",
                         fix="ltbench export SUITE lists the ids of all cells")  # fmt: skip
    # Several locations may have the cell. An invalidation in one of them applies to all.
    hits: list[tuple[RecordsLocation, Record]] = []
    invalidations: list[Invalidation] = []
    for place in among:
        # Only lines with a matching id are parsed, so that a damaged record does not block others.
        for entry in parsed_lines(place.lines(asked), parse_line):
            match entry:
                case Record() as record if record.id.startswith(asked):
                    hits.append((place, record))
                case Invalidation() as one if one.id.startswith(asked):
                    invalidations.append(one)
    cells = sorted({record.id for _, record in hits})
    if not cells:
        looked = ", ".join(str(place.path) for place in among) or "there is no leaderboard and no store"
        raise UsageError(f"no cell has an id that starts with {asked}", where=looked, fix=_suggestion(asked, among))
    if len(cells) > 1:
        labels = {record.id: record.label for _, record in hits}
        shown = "; ".join(f"{cell} ({labels[cell]})" for cell in cells[:_LISTED])
        raise UsageError(f"{len(cells)} cells have ids that start with {asked}", why=shown, fix="give more digits")
    valid = records_file((record for _, record in hits), invalidations)
    record = next((r for _, r in hits if r in valid.records), hits[0][1])
    return FoundCell(record=record, places=list(dict.fromkeys(p for p, _ in hits)), invalidations=valid.reasons(record))


def _suggestion(asked: str, among: Sequence[RecordsLocation]) -> str:
    known: list[str] = []
    for place in among:
        try:
            known += [record.id for record in place.records_file().records]
        except RecordError:
            continue
    near = nearest(asked, {key[: len(asked)] for key in known})
    return f"did you mean {' or '.join(near)}?" if near else "ltbench export SUITE lists the ids of all cells"
