"""How the rows of a table were run: in which blocks, and which of them use trainings of one another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from ltbench.core.spec import Spec, canonical
from ltbench.leaderboard.statistics.record_groups import Pair
from ltbench.records.machines import machine_type, unlike_machines
from ltbench.records.record import Record

if TYPE_CHECKING:
    import numpy.typing as npt

    Numbers = npt.NDArray[np.intp]

NOT_PAIRED = "not paired, as it was run on another type of machine"
PARTLY = "paired only in the runs on one type of machine"


class RowDesign(msgspec.Struct, frozen=True, kw_only=True):
    """The blocks and the shared trainings of rows."""

    blocks: Numbers
    """int [rows, runs]: number of the block of a cell: the pair of seeds, on one type of machine."""
    kinds: Numbers
    """int [rows, rows]: 0 for two rows without a common training, else a number of what they differ in."""
    machines: Numbers
    """int [rows, runs]: number of the types of machines of a cell, -1 where there is no record."""
    environments: tuple[tuple[Spec, ...], ...] = ()
    """An environment of each type of machine, for each number in `machines`."""

    @classmethod
    def paired(cls, rows: int, runs: int) -> RowDesign:
        """Return the design of rows that share every run and no training."""
        return cls(
            blocks=np.tile(np.arange(runs, dtype=np.intp), (rows, 1)),
            kinds=np.zeros((rows, rows), dtype=np.intp),
            machines=np.zeros((rows, runs), dtype=np.intp),
        )

    @classmethod
    def of(cls, rows: Sequence[Sequence[Record]], runs: Sequence[Pair]) -> RowDesign:
        """Return the design of the records of each row; those of several factors belong to one run."""
        place = {run: i for i, run in enumerate(runs)}
        cells: list[list[list[Record]]] = [[[] for _ in runs] for _ in rows]
        for row, records in enumerate(rows):
            for record in records:
                if record.status == "ok" and record.seeds in place:
                    cells[row][place[record.seeds]].append(record)
        numbers: dict[tuple[object, ...], int] = {}
        environments: list[tuple[Spec, ...]] = []
        machines = np.full((len(rows), len(runs)), -1, dtype=np.intp)
        for row, mine in enumerate(cells):
            for run, cell in enumerate(mine):
                if cell:
                    kinds = {machine_type(record.environment): record.environment for record in cell}
                    key = tuple(sorted((record.setting.imbalance_factor, repr(machine_type(record.environment)))
                                       for record in cell)) if len(kinds) > 1 else tuple(kinds)  # fmt: skip
                    if key not in numbers:
                        numbers[key] = len(environments)
                        environments.append(tuple(kinds.values()))
                    machines[row, run] = numbers[key]
        blocks = np.arange(len(runs)) + len(runs) * np.maximum(machines, 0)
        return cls(blocks=blocks, kinds=_kinds(rows), machines=machines, environments=tuple(environments))

    def differences(self, first: int, second: int) -> list[str]:
        """Return the differences of the machines of two rows, as `torch 2.5 / 2.6`."""
        both = zip(self.machines[first].tolist(), self.machines[second].tolist(), strict=True)
        pairs = {(one, two) for one, two in both if min(one, two) >= 0 and one != two}
        return sorted({
            text
            for one, two in pairs
            for here in self.environments[one]
            for there in self.environments[two]
            for text in unlike_machines(here, there)
        })  # fmt: skip

    def unpaired_notes(self, row: int, reference: int | None) -> Iterator[str]:
        """Yield a note where a row was run on other machines than the row that it is compared with."""
        if reference is None or row == reference:
            return
        found = ", ".join(self.differences(reference, row))
        if found:
            mine, others = self.machines[row], self.machines[reference]
            if bool(((mine == others) & (mine >= 0)).any()):
                yield f"{PARTLY}: {found}"
            else:
                yield f"{NOT_PAIRED}: {found}; compared by Welch's test"


def _kinds(rows: Sequence[Sequence[Record]]) -> Numbers:
    """Return `RowDesign.kinds`. Rows share a training where some run of both has one, or its first segment."""
    kinds = np.zeros((len(rows), len(rows)), dtype=np.intp)
    several = any(len(fit.get("segments", ())) > 1 for records in rows for record in records for fit in record.fits)
    users: dict[object, dict[int, None]] = {}
    for row, records in enumerate(rows):
        for record in records:
            for key in _trainings(record, beginnings=several):
                users.setdefault(key, {})[row] = None
    labels = [frozenset(records[0].techniques) if records else frozenset() for records in rows]
    numbers: dict[frozenset[object], int] = {}
    for together in sorted({tuple(sorted(found)) for found in users.values() if len(found) > 1}):
        for place, one in enumerate(together):
            for other in together[place + 1 :]:
                what = frozenset({labels[one] - labels[other], labels[other] - labels[one]})
                kinds[one, other] = kinds[other, one] = numbers.setdefault(what, len(numbers) + 1)
    return kinds


def _trainings(record: Record, *, beginnings: bool) -> Iterator[object]:
    yield from record.spec.get("members", ())
    if beginnings:
        for fit in record.fits:
            first, rest = fit["segments"][0], {key: part for key, part in fit.items() if key != "segments"}
            start = {key: part for key, part in first.items() if key not in ("until", "average")}
            yield canonical({"start": start, "fit": rest})
