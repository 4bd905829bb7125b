"""The cell whose model is exported: by its id, by its row, or the best row of a page."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import msgspec

from ltbench.cli.options import leaderboards_words
from ltbench.core.folders import store_root
from ltbench.errors import StoreError, UnknownName, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ltbench.leaderboard.tables.table import Board
    from ltbench.records.locations import RecordsLocation
    from ltbench.records.record import Record
    from ltbench.registry.registry import Registry
    from ltbench.store.store import Store

BEST = "best"
_ID = re.compile(r"[0-9a-fA-F]{4,32}\Z")


class ChosenCell(msgspec.Struct, frozen=True, kw_only=True):
    """A cell, and all cells of the page that has it."""

    record: Record
    among: Sequence[Record]
    place: RecordsLocation


def choose_cell(text: str, places: Sequence[RecordsLocation], store: Store, registry: Registry, words: Sequence[str]) -> ChosenCell:  # fmt: skip
    """Return the cell that is meant, the first one whose networks are in the store.

    text: the first digits of an id, a row as its table has it, or `best`; places: where to look, in this order; words:
    options of a printed command. Raises `UsageError` if there is none, `StoreError` with the command that trains it.
    """
    found: list[ChosenCell] = []
    unknown: list[UnknownName] = []
    for place in places:
        try:
            candidates = _candidates(text, place)
            for one in candidates:
                if not _missing(one.record, store, registry):
                    return one
                found.append(one)
        except UnknownName as error:
            unknown.append(error)
    if found:
        raise _not_trained(found[0], store, registry, words)
    if unknown:
        # That of a page with a row of a similar name, if there is one.
        raise min(unknown, key=lambda error: not error.fix.startswith("did you mean"))
    raise UsageError(
        f"there is no cell '{text}'" if text != BEST else "there is no row with a number",
        where=", ".join(str(place.path) for place in places) or "there is no leaderboard and no store",
        fix="give the first digits of an id (ltbench export SUITE lists them), a row as its table has it, or best",
    )


def _candidates(text: str, place: RecordsLocation) -> Iterator[ChosenCell]:
    """Yield the cells of a place that are meant, best rows first, simple settings and low seeds first."""
    from ltbench.leaderboard.compare.compare import find_combination

    records = [record for record in place.records_file().records if record.status == "ok"]
    if _ID.match(text):
        matches = [record for record in records if record.id.startswith(text.lower())]
        if len(matches) > 1:
            raise UsageError(
                f"{len(matches)} cells have ids that start with {text}", where=str(place.path), fix="give more digits"
            )
        if matches:
            yield ChosenCell(record=matches[0], among=records, place=place)
            return
    if text == BEST:
        for board in _boards(place, records):
            for row in board.main_table.rows:
                if row.rank is not None:
                    yield from (
                        ChosenCell(record=one, among=records, place=place)
                        for one in records
                        if one.board == board.key and one.label == row.label
                    )
        return
    labels = {record.label: frozenset(label for _, label in record.techniques) for record in records}
    asked = find_combination(text, labels, _methods(place))
    yield from (ChosenCell(record=one, among=records, place=place) for one in records if labels[one.label] == asked)


def _boards(place: RecordsLocation, records: Sequence[Record]) -> list[Board]:
    from ltbench.leaderboard.publish import load
    from ltbench.leaderboard.tables.columns import installed_columns
    from ltbench.leaderboard.tables.table import make_boards

    return load(place.path).boards if place.kind == "suite" else make_boards(records, declared=installed_columns())


def _methods(place: RecordsLocation) -> Mapping[str, tuple[str, ...]]:
    from ltbench.leaderboard.publish import read_facts

    return read_facts(place.path).method_parts if place.kind == "suite" else MappingProxyType({})


def _missing(record: Record, store: Store, registry: Registry) -> list[str]:
    """Return the keys of what an export needs and the store lacks."""
    from ltbench.trained_model.members import artefacts

    return [key for key in artefacts(record, registry) if not store.has(key)]


def _not_trained(chosen: ChosenCell, store: Store, registry: Registry, words: Sequence[str]) -> StoreError:
    from ltbench.records.plugins_needed import plugin_words

    record = chosen.record
    command = ["ltbench", "run", "--cell", record.id]
    if chosen.place.kind != "suite" or chosen.place.path.parent.name == "":
        command += ["--records", str(chosen.place.path)]
    command += [*plugin_words([record]), *words]
    then = ""
    if store.status(record.id) == "ok":
        # A record that is there is not made again, though its networks were pruned.
        again = Path(f"trained-{record.id[:8]}")
        command += ["--store", str(again)]
        then = f", then export with --store {again}"
    elif store.root != store_root():
        command += ["--store", str(store.root)]
    number = len(_missing(record, store, registry))
    return StoreError(
        f"the store lacks {number} of the trained networks and predictions of cell {record.id} ({record.label})",
        where=str(store.root),
        fix=shlex.join(command) + then,
    )


def places_for(page: str | None, leaderboards: Path, store: Path) -> list[RecordsLocation]:
    """Return where to look for a cell: in a page, or in every leaderboard and then the store."""
    from ltbench.cli.options import find_page
    from ltbench.records import locations

    return locations.places(leaderboards, store) if page is None else [find_page(page, leaderboards)]


def printed_options(leaderboards: Path, data_root: Path, default_root: Path) -> list[str]:
    """Return the options that a printed command needs to find the same leaderboards and data."""
    at = [] if data_root == default_root else ["--data-root", str(data_root)]
    return [*leaderboards_words(leaderboards), *at]
