"""Which rows of a table are paired, run by run on one type of machine, and their differences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ltbench.core.spec import Spec
from ltbench.leaderboard.statistics.record_groups import Pair
from ltbench.leaderboard.statistics.tests_and_intervals import Estimate, differences, welch
from ltbench.leaderboard.statistics.verdicts import Machines
from ltbench.records.machines import machine_type, unlike_machines
from ltbench.records.record import Record

if TYPE_CHECKING:
    from ltbench.leaderboard.statistics.tests_and_intervals import Floats

NOT_PAIRED = "not paired, as it was run on another type of machine"


def machines_of(
    rows: Sequence[Sequence[Record]], cells: Sequence[tuple[float, Pair]] = ()
) -> tuple[Machines, list[Spec]]:
    """Return the types of machines on which the records of each row were run, and an environment of each type.

    cells: factor and run of each column of the types; by default those that are there, in any order.
    """
    numbers: dict[tuple[object, ...], int] = {}
    environments: list[Spec] = []
    places: dict[tuple[object, ...], int] = {cell: place for place, cell in enumerate(cells)}
    entries: list[tuple[int, int, int]] = []
    for row, records in enumerate(rows):
        for record in records:
            if record.status == "ok":
                kind = machine_type(record.environment)
                if kind not in numbers:
                    numbers[kind] = len(environments)
                    environments.append(record.environment)
                place = places.setdefault((record.setting.imbalance_factor, record.seeds), len(places))
                entries.append((row, place, numbers[kind]))
    types = np.full((len(rows), len(places)), -1, dtype=np.intp)
    for row, place, number in entries:
        types[row, place] = number
    unlike = [[bool(unlike_machines(one, two)) for two in environments] for one in environments]
    return Machines(types, np.array(unlike, dtype=bool).reshape(len(unlike), len(unlike))), environments


def unpaired_notes(machines: Machines, environments: Sequence[Spec], row: int, reference: int | None) -> Iterator[str]:
    """Yield a note where a row was run on other machines than the row that it is compared with."""
    rows = [np.array([index], dtype=np.intp) for index in (row, reference) if index is not None]
    if len(rows) < 2 or not machines.differ(*rows)[0]:
        return
    pairs = {(one, two) for one, two in zip(*(machines.types[index[0]].tolist() for index in rows), strict=True)
             if min(one, two) >= 0 and machines.unlike[one, two]}  # fmt: skip
    found = sorted({text for one, two in pairs for text in unlike_machines(environments[two], environments[one])})
    yield f"{NOT_PAIRED}: {', '.join(found)}; compared by Welch's test"


def gaps_to(values: Floats, reference: int | None, machines: Machines) -> list[Estimate | None]:
    """Return the difference of each row to row `reference`, run by run on one machine; None for that row."""
    if reference is None:
        return [None] * len(values)
    others = np.arange(len(values), dtype=np.intp)
    apart = machines.differ(others, np.full(len(values), reference, dtype=np.intp))
    return [
        None if row == reference else welch(values[row], values[reference])[0] if apart[row] else gap
        for row, gap in enumerate(differences(values, reference))
    ]
