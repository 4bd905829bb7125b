"""What the rows and cells of a grid have in common, as far as a search knows before it runs any."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING

import msgspec
import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from ltbench.leaderboard.statistics.estimates import Floats

    Numbers = npt.NDArray[np.intp]

Techniques = Sequence[tuple[str, str]]
"""The techniques of a row: stage and label. The baseline has none."""
PARTS = 4


class Cells(msgspec.Struct, frozen=True, kw_only=True):
    """Cells of the grid: int [cells] each."""

    row: Numbers
    block: Numbers
    factor: Numbers

    @classmethod
    def grid(cls, rows: int, factors: Sequence[int]) -> Cells:
        """Return all cells, row by row. factors: number of the imbalance factor of each block."""
        row, block = np.divmod(np.arange(rows * len(factors), dtype=np.intp), max(len(factors), 1))
        return cls(row=row, block=block, factor=np.array(factors, dtype=np.intp)[block])

    def at(self, positions: Numbers) -> Cells:
        """Return some of the cells."""
        return Cells(row=self.row[positions], block=self.block[positions], factor=self.factor[positions])


class Likeness:
    """What pairs of rows have in common, in the parts of the model."""

    training: Numbers
    """int [rows]: rows with one number use one training."""

    def __init__(self, rows: Sequence[Techniques], trainings: Sequence[Hashable] | None = None) -> None:
        """trainings: of each row the training that it uses, by default one of its own."""
        self._stages = _indicators([[stage for stage, _ in row] for row in rows])
        self._labels = _indicators(rows)
        self._names = _indicators([[(stage, label.partition("[")[0]) for stage, label in row] for row in rows])
        numbers: dict[Hashable, int] = {}
        used = range(len(rows)) if trainings is None else trainings
        self.training = np.array([numbers.setdefault(one, len(numbers)) for one in used], dtype=np.intp)

    def of_rows(self, first: Numbers, second: Numbers) -> Floats:
        """Return float [4, first, second]: stages in common, techniques, pairs of techniques, and whether both are one row.

        A technique with other parameters counts half.
        """
        stages = self._stages[first] @ self._stages[second].T
        labels = self._labels[first] @ self._labels[second].T
        names = self._names[first] @ self._names[second].T
        return np.stack([stages, (labels + names) / 2, labels * (labels - 1) / 2, same(first, second)])

    def of_one(self, rows: Numbers) -> Floats:
        """Return float [4, rows]: what `of_rows` says of a row and itself."""
        stages, labels = self._stages[rows].sum(axis=1), self._labels[rows].sum(axis=1)
        return np.stack([stages, labels, labels * (labels - 1) / 2, np.ones(len(rows))])

    def of_noise(self, first: Cells, second: Cells) -> tuple[Floats, Floats]:
        """Return float [first, second] twice: whether two cells are one, and whether they use one training."""
        block = same(first.block, second.block)
        return (
            block * same(first.row, second.row),
            block * same(self.training[first.row], self.training[second.row]),
        )


def same(first: Numbers, second: Numbers) -> Floats:
    """Return float [first, second]: 1 where two numbers are the same."""
    return np.asarray(first[:, None] == second[None], dtype=np.float64)


def _indicators(rows: Sequence[Sequence[Hashable]]) -> Floats:
    column: dict[Hashable, int] = {}
    for row in rows:
        for one in row:
            column.setdefault(one, len(column))
    there = np.zeros((len(rows), len(column)))
    for number, row in enumerate(rows):
        there[number, [column[one] for one in row]] = 1.0
    return there
