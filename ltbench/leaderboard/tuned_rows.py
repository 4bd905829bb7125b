"""Rows with tuned hyper-parameters, beside those with the defaults.

On a page, tuning is one more technique of a row, `tuned (20)`: then the effect of tuning, and how much of another
technique's advantage is tuning, are effects and interactions like all others.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from ltbench.core.spec import canonical
from ltbench.records.comparability import TUNED
from ltbench.records.record import Record
from ltbench.records.tuning_file import FILE, TunedRow, read_tuning


def tuned_label(row: TunedRow) -> str:
    """Return how rows that are tuned like this one are called."""
    return f"tuned ({row.asked})"


def with_tuned_rows(records: Sequence[Record], tuned: Sequence[TunedRow]) -> list[Record]:
    """Return the records as a page shows them: a cell with chosen values is a cell of the tuned row.

    A cell can be one of a row with the defaults as well, because the best values may be these.
    """
    by_id = {record.id: record for record in records}
    chosen = {cell for row in tuned for cell in row.cells}
    defaults = {_row(row.combination, row.recipe) for row in tuned}
    shown = [one for one in records if one.id not in chosen or _row(one.combination, one.recipe) in defaults]
    for row in tuned:
        combination = row.combination | {TUNED: tuned_label(row)}
        shown += [
            msgspec.structs.replace(by_id[cell], combination=combination, recipe=row.recipe)
            for cell in row.cells
            if cell in by_id
        ]
    return shown


def shown_records(folder: Path, records: Sequence[Record]) -> list[Record]:
    """Return the records of a folder as its page shows them. Raises `RecordError` naming the line of a malformed file."""
    return with_tuned_rows(records, read_tuning(folder / FILE))


def _row(combination: dict[str, str | None], recipe: dict[str, object]) -> bytes:
    return canonical([combination, recipe])
