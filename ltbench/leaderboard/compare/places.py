"""Compare what is at two locations of records, or two rows or cells at one of them."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from ltbench.columns import Unit
from ltbench.errors import UnknownName
from ltbench.leaderboard.compare import compare
from ltbench.leaderboard.compare.compare import Comparison
from ltbench.leaderboard.publish import read_facts
from ltbench.leaderboard.statistics.ranking import ranking_column
from ltbench.leaderboard.tables.columns import installed_columns, join_columns
from ltbench.leaderboard.tuned_rows import shown_records
from ltbench.records.locations import RecordsLocation
from ltbench.records.record import Record


def compare_places(
    places: Sequence[RecordsLocation], rows: Sequence[str] = (), metric: str | None = None
) -> Comparison:
    """Compare the records of two locations run by run, or two rows or cells of one.

    rows: two combinations as in the table of a page, or the first digits of two ids; metric: by default that of the page.
    Raises `UnknownName` for a combination or metric that is not there.
    """
    sides = [place.records_file().records for place in places]
    metric = metric or _ranked_by(*places) or compare.default_metric([record for side in sides for record in side])
    unit = _unit(metric, *places)
    if not rows:
        first, second = sides
        return compare.compare_sets(first, second, (str(places[0].path), str(places[1].path)), metric, unit=unit)
    (place,), (records,) = places, sides
    one, other = rows
    return _two_cells(records, one, other, metric, unit) or compare.compare_combinations(
        shown_records(place.path, records), one, other, metric, _methods(place), unit=unit
    )


def _ranked_by(*places: RecordsLocation) -> str:
    """Return the metric by which the suites of these locations rank rows; empty if none is set or they differ."""
    said = {read_facts(place.path).metric for place in places if place.path.is_dir()}
    return said.pop() if len(said) == 1 else ""


def _unit(metric: str, *places: RecordsLocation) -> Unit:
    """Return the unit of a metric, as a page of these locations or an installed metric declares it; else its own."""
    declared = join_columns(*(read_facts(place.path).columns for place in places if place.path.is_dir()))
    with contextlib.suppress(UnknownName):
        return ranking_column(metric, declared).unit
    with contextlib.suppress(UnknownName):
        return ranking_column(metric, installed_columns()).unit
    return "plain"


def _methods(place: RecordsLocation) -> dict[str, tuple[str, ...]]:
    """Return the methods that the page of a folder names."""
    return read_facts(place.path).method_parts if place.path.is_dir() else {}


def _two_cells(records: list[Record], first: str, second: str, metric: str, unit: Unit) -> Comparison | None:
    """Return the comparison of two cells; None if the texts are not the first digits of two ids."""
    cells = []
    for asked in (first, second):
        matches = [record for record in records if len(asked) >= 4 and record.id.startswith(asked.lower())]
        if len(matches) != 1:
            return None
        cells += matches
    return compare.compare_cells(cells[0], cells[1], metric, unit=unit)
