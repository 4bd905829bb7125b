"""The scores of a board as one array: by combination, imbalance factor and pair of seeds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Self

import numpy as np

from ltbench.columns import TOP1
from ltbench.leaderboard.statistics.pairing import machines_of
from ltbench.leaderboard.statistics.record_groups import Pair, newest
from ltbench.leaderboard.statistics.verdicts import Machines
from ltbench.records.record import Record

if TYPE_CHECKING:
    import numpy.typing as npt

    from ltbench.leaderboard.statistics.tests_and_intervals import Floats

Picked = tuple[str, str]
"""A technique: its stage and its label."""
Combined = frozenset[Picked]


class ScoreArray:
    """The score of every cell of a board, independent of the order of the records."""

    combinations: list[Combined]
    factors: list[float]
    """Lowest first."""
    runs: list[Pair]
    values: Floats
    """float [combinations, factors, runs]; NaN if a cell is missing, failed or has no score."""
    machines: Machines
    """Where each cell was run: types int [combinations, factors * runs]."""

    def __init__(self, combinations: list[Combined], factors: list[float], runs: list[Pair]) -> None:
        self.combinations, self.factors, self.runs = combinations, factors, runs
        self.rows = {combination: row for row, combination in enumerate(combinations)}
        self.values = np.full((len(combinations), len(factors), len(runs)), np.nan)
        self.machines = Machines(
            np.full((len(combinations), len(factors) * len(runs)), -1, dtype=np.intp), np.zeros((0, 0), bool)
        )

    @classmethod
    def of(cls, records: Iterable[Record], metric: str = TOP1) -> Self:
        """Return the scores of the records of one board by a metric."""
        current = newest(list(records))
        made = cls(
            list(dict.fromkeys(frozenset(record.techniques) for record in current)),
            sorted({record.setting.imbalance_factor for record in current}),
            sorted({record.seeds for record in current}),
        )
        factors, runs = ({one: i for i, one in enumerate(known)} for known in (made.factors, made.runs))
        for record in current:
            score = record.score(metric)
            if record.status == "ok" and score is not None:
                row, factor = made.rows[frozenset(record.techniques)], factors[record.setting.imbalance_factor]
                made.values[row, factor, runs[record.seeds]] = score
        rows: list[list[Record]] = [[] for _ in made.combinations]
        for record in current:
            rows[made.rows[frozenset(record.techniques)]].append(record)
        made.machines = machines_of(rows, [(factor, run) for factor in made.factors for run in made.runs])[0]
        return made

    def paired(self, rows: npt.NDArray[np.intp], factor: float | None) -> npt.NDArray[np.bool_]:
        """Return bool [contexts, runs]: whether rows of a context were run on one type of machine.

        rows: int [contexts, rows that are compared]; factor: None for all of them.
        """
        types = self.machines.types.reshape(self.values.shape)
        chosen = types if factor is None else types[:, [self.factors.index(factor)]]
        result = np.ones((len(rows), len(self.runs)), dtype=bool)
        if not self.machines.unlike.any():
            return result
        for other in range(1, rows.shape[1]):
            one, two = chosen[rows[:, 0]], chosen[rows[:, other]]
            apart = self.machines.unlike[one, two] & (one >= 0) & (two >= 0)
            result &= ~apart.any(axis=1)
        return result

    def at(self, factor: float | None) -> Floats:
        """Return float [combinations, runs] of one factor; None for the mean over all, NaN if one is missing."""
        return self.values.mean(axis=1) if factor is None else self.values[:, self.factors.index(factor)]

    @property
    def places(self) -> list[float | None]:
        """The factors, and None for all of them if there are several."""
        return [*self.factors, *([None] if len(self.factors) > 1 else [])]
