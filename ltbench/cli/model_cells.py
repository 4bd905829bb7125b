"""The cell whose model is exported: by its id, by its row, or the best row of a page."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import msgspec

from ltbench.cli.options import find_page, leaderboards_words
from ltbench.core.folders import data_root as default_data_root
from ltbench.core.folders import store_root
from ltbench.errors import StoreError, UnknownName, UsageError

if TYPE_CHECKING:
    from ltbench.leaderboard.tables.table import Board
    from ltbench.records.locations import RecordsLocation
    from ltbench.records.record import Record
    from ltbench.registry.registry import Registry
    from ltbench.store.store import Store

BEST = "best"
_ID = re.compile(r"[0-9a-f]{4,32}\Z")


class ChosenCell(msgspec.Struct, frozen=True, kw_only=True):
    """A cell, and records of the same place."""

    record: Record
    among: Sequence[Record]
    place: RecordsLocation


class CellSearch:
    """Where to look for a cell, and what is trained."""

    def __init__(
        self, page: str | None, leaderboards: Path, store: Store, data_root: Path, registry: Registry
    ) -> None:  # fmt: skip
        """page: a leaderboard, a records file or a store; all leaderboards and the store for None."""
        from ltbench.records import locations

        self.page, self.leaderboards, self.data_root = page, leaderboards, data_root
        self.store, self.registry = store, registry
        found = locations.places(leaderboards, store.root) if page is None else [find_page(page, leaderboards)]
        self.places: Sequence[RecordsLocation] = found

    def choose(self, text: str) -> ChosenCell:
        """Return the cell that is meant: of several, the first one whose networks are in the store.

        text: the first digits of an id, a row as its table has it, or `best`. Raises `UsageError` if there is none,
        `StoreError` with the command that trains it.
        """
        first: ChosenCell | None = None
        for one in self._meant(text):
            if not self._missing(one.record):
                return one
            first = first or one
        if first is None:
            raise UsageError(
                "there is no row with a number", where=", ".join(str(place.path) for place in self.places),
                fix="run the suite first",
            )  # fmt: skip
        raise self._not_trained(first)

    def _meant(self, text: str) -> Iterator[ChosenCell]:
        """Yield the cells that are meant, best rows first, low factors and seeds first."""
        if not self.places:
            raise UsageError("there is no leaderboard and no store", fix="ltbench run makes both")
        if _ID.match(digits := text.lower()) and any(True for place in self.places for _ in place.lines(digits)):
            yield self._by_id(digits)
        elif text == BEST:
            yield from self._best()
        else:
            yield from self._of_row(text)

    def _by_id(self, digits: str) -> ChosenCell:
        from ltbench.records.locations import find_cell

        found = find_cell(digits, self.places)
        if found.invalidations:
            raise UsageError(
                f"cell {found.record.id} was withdrawn", why="; ".join(one.reason for one in found.invalidations),
                fix="export another cell",
            )  # fmt: skip
        place = found.places[0]
        # A store may have many thousands of records, and only those of a page are known to be comparable.
        among = [] if place.kind == "store" else place.records_file().records
        return ChosenCell(record=found.record, among=among, place=place)

    def _best(self) -> Iterator[ChosenCell]:
        pages = [place for place in self.places if place.kind != "store"] or self.places
        if self.page is None and len(pages) > 1:
            names = ", ".join(place.path.name for place in pages)
            raise UsageError(
                "the best row of which page?", why=f"there are {names}", fix=f"--page {pages[-1].path.name}"
            )
        place = pages[0]
        records = _successful(place)
        for board in _boards(place, records):
            for label in (row.label for row in board.main_table.rows if row.rank is not None):
                for one in records:
                    if one.board == board.key and one.label == label:
                        yield ChosenCell(record=one, among=records, place=place)

    def _of_row(self, text: str) -> Iterator[ChosenCell]:
        from ltbench.leaderboard.compare.compare import find_combination

        unknown: list[UnknownName] = []
        for place in self.places:
            records = _successful(place)
            labels = {record.label: frozenset(label for _, label in record.techniques) for record in records}
            try:
                asked = find_combination(text, labels, _methods(place))
            except UnknownName as error:
                unknown.append(error)
                continue
            for one in records:
                if labels[one.label] == asked:
                    yield ChosenCell(record=one, among=records, place=place)
        if len(unknown) == len(self.places):
            # That of a page with a row of a similar name, if there is one.
            raise min(unknown, key=lambda error: not error.fix.startswith("did you mean"))

    def _missing(self, record: Record) -> list[str]:
        """Return the keys of what an export needs and the store lacks."""
        from ltbench.trained_model.members import artefacts

        return [key for key in artefacts(record, self.registry) if not self.store.has(key)]

    def _not_trained(self, chosen: ChosenCell) -> StoreError:
        from ltbench.records.plugins_needed import plugin_words

        record = chosen.record
        command = ["ltbench", "run", "--cell", record.id]
        if chosen.place.kind != "suite" or self.page not in {None, chosen.place.path.name}:
            command += ["--records", str(chosen.place.path)]
        command += [*plugin_words([record]), *leaderboards_words(self.leaderboards)]
        if self.data_root != default_data_root():
            command += ["--data-root", str(self.data_root)]
        then = ""
        if self.store.status(record.id) == "ok":
            # A record that is there is not made again, though its networks were pruned.
            again = f"trained-{record.id[:8]}"
            command += ["--store", again]
            then = f", then export with --store {again}"
        elif self.store.root != store_root():
            command += ["--store", str(self.store.root)]
        return StoreError(
            f"the store lacks {len(self._missing(record))} of the trained networks and predictions of cell {record.id} ({record.label})",
            where=str(self.store.root),
            fix=shlex.join(command) + then,
        )


def _successful(place: RecordsLocation) -> list[Record]:
    return [record for record in place.records_file().records if record.status == "ok"]


def _boards(place: RecordsLocation, records: Sequence[Record]) -> list[Board]:
    from ltbench.leaderboard.publish import load
    from ltbench.leaderboard.tables.columns import installed_columns
    from ltbench.leaderboard.tables.table import make_boards

    return load(place.path).boards if place.kind == "suite" else make_boards(records, declared=installed_columns())


def _methods(place: RecordsLocation) -> Mapping[str, tuple[str, ...]]:
    from ltbench.leaderboard.publish import read_facts

    return read_facts(place.path).method_parts if place.kind == "suite" else MappingProxyType({})
