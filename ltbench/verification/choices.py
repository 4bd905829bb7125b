"""Checks the files on tuning and search beside the records: cells of tuned rows have the values that were chosen.

The scores behind a choice are those of trials, which no page has: they are not checked, and a note says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ltbench.errors import PluginError, RecordError, UnknownName
from ltbench.records import search_file, tuning_file
from ltbench.records.locations import RecordsLocation
from ltbench.records.record import Record
from ltbench.technique import written
from ltbench.verification.finding import Finding

if TYPE_CHECKING:
    from ltbench.executor import Techniques


def choice_findings(place: RecordsLocation, records: Sequence[Record], registry: Techniques) -> Iterator[Finding]:
    """Yield what is wrong in `tuning.jsonl` and `search.json` of a page, and what they say that cannot be checked."""
    if place.kind != "suite":
        return
    try:
        rows = tuning_file.read_tuning(place.path / tuning_file.FILE)
        searched = search_file.read_search(place.path / search_file.FILE)
    except RecordError as error:
        yield Finding("wrong", error.where, " ".join(filter(None, (error.what, error.why))))
        return
    by_id = {record.id: record for record in records}
    for number, row in enumerate(rows, 1):
        cells = [by_id[cell] for cell in row.cells if cell in by_id]
        for problem in dict.fromkeys(problem for cell in cells for problem in _problems(cell, row, registry)):
            yield Finding("wrong", f"{tuning_file.FILE}, line {number}", problem)
    if rows:
        yield Finding(
            "note",
            tuning_file.FILE,
            "the scores of trials are not checked, as their records are on no page; the command of the page makes them again",
        )
    if searched is not None:
        yield Finding(
            "note",
            search_file.FILE,
            "the states of combinations are not checked, as the search is not repeated; the command of the page repeats it",
        )


def _problems(record: Record, row: tuning_file.TunedRow, registry: Techniques) -> Iterator[str]:
    """Yield how a cell of a tuned row differs from what its row says."""
    values = row.best.values
    recipe = row.recipe | {name: value for name, value in values.items() if "." not in name}
    if record.recipe != recipe:
        yield f"cell {record.id[:12]} does not have the recipe of the chosen trial"
    for stage, stated in row.combination.items():
        label = record.combination.get(stage)
        if (label is None) != (stated is None):
            yield f"cell {record.id[:12]} does not have the techniques of its row"
        if label is None:
            continue
        try:
            technique = registry.parse(label, stage)
        except (PluginError, UnknownName):
            continue  # what is not installed is found in the record
        names = {technique.name, f"{registry.spec(technique)['distribution']}/{technique.name}"}
        for name, value in values.items():
            owner, _, field = name.rpartition(".")
            if owner in names and getattr(technique, field, None) != value:
                yield f"cell {record.id[:12]} has {label}, but {name} of the chosen trial is {written(value)}"
