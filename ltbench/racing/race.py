"""A race between the rows of a grid: which cells to run next, and what their scores say of which row is best.

A race is told scores and runs nothing itself. It goes in batches: a screening of rows with the first pair of seeds, then
cells that tell the believed leader from its challengers. The next batch depends on the scores of all cells before it, and
on nothing else: not on the order in which they came, nor on how many were asked for at once.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from ltbench.leaderboard.statistics.estimates import LEVEL
from ltbench.planning.screen import usual_rows
from ltbench.racing.allocation import by_improvement, racing_cells, screening_cells
from ltbench.racing.belief import Belief, Model
from ltbench.racing.likeness import Cells, Likeness, Techniques
from ltbench.racing.standing import Believed, Block, Dropped, Measured, Standing, measured

if TYPE_CHECKING:
    from ltbench.leaderboard.statistics.estimates import Floats

Cell = tuple[int, int]
"""A row and a block, by their numbers."""
MARGIN: Final = 0.5
"""Points by which rows may differ and are equal for practical purposes."""
SEEDS: Final = 3
"""Pairs of seeds that a leader and its best challenger are run with before a race is decided."""
_SCREENING, _BATCH = 0.05, 0.02
"""Cells of the screening, and of each batch after it, as shares of the grid."""
_LEAST_SCREENING, _LEAST_BATCH, _MOST_BATCH = 8, 4, 64
_POINTS = 100


class Race:
    """A race. Scores are fractions, such as accuracies."""

    def __init__(
        self,
        rows: Sequence[Techniques],
        blocks: Sequence[Block],
        *,
        sign: Literal[1, -1] = 1,
        trainings: Sequence[Hashable] | None = None,
    ) -> None:
        """Begin a race. Raises `ValueError` for rows or blocks that are there twice, and without a block.

        rows: the techniques of each; sign: 1 where high scores are good, -1 where low ones are; trainings: of each row what
        is the same for rows that use one training, such as a row with and without another view; by default none do.
        """
        if len({frozenset(row) for row in rows}) < len(rows) or len(set(blocks)) < len(blocks):
            raise ValueError("each row and each block can be in a race once")
        if not blocks:
            raise ValueError("a race needs a block")
        self._rows, self._blocks, self._sign, self._trainings = rows, blocks, sign, trainings
        factors = sorted({block.factor for block in blocks})
        seeds = list(dict.fromkeys(block.seeds for block in blocks))
        self._seeds = np.array([seeds.index(block.seeds) for block in blocks], dtype=np.intp)
        self._grid = Cells.grid(len(rows), [factors.index(block.factor) for block in blocks])
        self._model = Model(Likeness(rows, trainings), len(factors))
        self._scores: dict[int, float | None] = {}
        """Of each cell that was told, by its place in the grid; None if it failed."""
        self._queue: list[int] = []
        self._waiting: set[int] = set()
        self._believed: tuple[int, Belief] | None = None
        self.ended: Literal["", "decided", "exhausted"] = ""
        """"decided": no row is believed to be better than the leader by more than `MARGIN`; "exhausted": every row that may
        be was run in all blocks."""

    def ask(self, most: int) -> list[Cell]:
        """Return the next cells, at most so many. None while scores of a batch are missing, or when the race has ended."""
        if not (self.ended or self._queue or self._waiting):
            self._queue = self._next_batch()
        cells, self._queue = self._queue[:most], self._queue[most:]
        self._waiting.update(cells)
        return [self._cell(cell) for cell in cells]

    def tell(self, cell: Cell, score: float | None) -> None:
        """Take in the score of a cell; None if it failed or was given up.

        It need not be asked for, if it came along with others. Raises `ValueError` if it was told before, or is not finite.
        """
        row, block = cell
        place = row * len(self._blocks) + block
        if place in self._scores:
            raise ValueError(f"cell {cell} was told twice")
        if score is not None and not math.isfinite(score):
            raise ValueError(f"the score of cell {cell} is {score}")
        self._waiting.discard(place)
        # A cell that came along with others is not asked for any more.
        self._queue = [queued for queued in self._queue if queued != place]
        self._scores[place] = score

    def screening(self, most: int) -> list[Cell]:
        """Return a screening design of at most so many cells, with the first pair of seeds."""
        first = np.flatnonzero(np.isin(self._grid.block, np.flatnonzero(self._seeds == 0)))
        return [self._cell(int(first[cell])) for cell in screening_cells(self._model, self._grid.at(first), most)]

    @property
    def best(self) -> int | None:
        """The row with the best believed mean of those that were run, without failed ones and those that the tests drop.

        None if there is none.
        """
        out = self._failed() | self._measured().dropped().keys()
        run = np.array(sorted({cell // len(self._blocks) for cell in self._told()} - out), dtype=np.intp)
        return int(run[np.argmax(np.round(self._belief().means(run)[0], 9))]) if len(run) else None

    def standings(self) -> list[Standing]:
        """Return where each row stands, in the order of the rows."""
        rows = np.arange(len(self._rows), dtype=np.intp)
        if not len(rows):
            return []
        found = self._measured()
        dropped, _ = self._dropped(found)
        cells = np.bincount(
            np.array([cell // len(self._blocks) for cell in self._told()], dtype=np.intp), minlength=len(rows)
        )
        means, errors = self._belief().means(rows)
        place = {row: number for number, row in enumerate(found.rows)}
        result = []
        for row, mean, error, count in zip(rows.tolist(), means.tolist(), errors.tolist(), cells.tolist(), strict=True):
            ranks = None
            if found.compared is not None and row in place:
                best, worst = found.compared.places[place[row]], found.compared.last_places[place[row]]
                ranks = None if best is None or worst is None else (best, worst)
            believed = Believed(self._sign * mean / _POINTS, _normal_quantile() * error / _POINTS)
            estimate = found.estimates[place[row]] if row in place else None
            result.append(
                Standing(
                    row=row, cells=count, measured=estimate, places=ranks, believed=believed, dropped=dropped.get(row)
                )
            )
        return result

    def _cell(self, place: int) -> Cell:
        return place // len(self._blocks), place % len(self._blocks)

    def _told(self) -> dict[int, float]:
        return {cell: score for cell, score in sorted(self._scores.items()) if score is not None}

    def _failed(self) -> set[int]:
        return {cell // len(self._blocks) for cell, score in self._scores.items() if score is None}

    def _measured(self) -> Measured:
        scores = {self._cell(place): score for place, score in self._told().items()}
        return measured(scores, self._rows, self._blocks, self._trainings, self._sign)

    def _belief(self) -> Belief:
        """Return what is believed after all scores so far."""
        if self._believed is None or self._believed[0] != len(self._scores):
            told = self._told()
            cells = self._grid.at(np.array(list(told), dtype=np.intp))
            scores = self._sign * _POINTS * np.array(list(told.values()), dtype=np.float64)
            self._believed = len(self._scores), Belief(self._model, self._model.fit(cells, scores), cells, scores)
        return self._believed[1]

    def _dropped(self, found: Measured) -> tuple[dict[int, Dropped], int | None]:
        """Return the rows that are out, and the believed leader of the others, which may be a row that was never run."""
        out = found.dropped() | {row: Dropped("failed") for row in self._failed()}
        rows = np.array([row for row in range(len(self._rows)) if row not in out], dtype=np.intp)
        if not len(rows) or not self._told():
            return out, None
        leader = int(rows[np.argmax(np.round(self._belief().means(rows)[0], 9))])
        better = _exceeds(0.0, *self._belief().differences(rows, leader))
        # As in the tests, the risk of dropping the best row is shared by all rows.
        surely_worse = (better < LEVEL / len(self._rows)) & (rows != leader)
        return out | {row: Dropped("belief", leader) for row in rows[surely_worse].tolist()}, leader

    def _next_batch(self) -> list[int]:
        """Return the next cells; none if the race has ended."""
        size = len(self._rows) * len(self._blocks)
        if not self._scores and size:
            enough = usual_rows(len({technique for row in self._rows for technique in row}), 0)
            design = self.screening(max(_LEAST_SCREENING, min(int(_SCREENING * size), enough)))
            return [row * len(self._blocks) + block for row, block in design]
        dropped, leader = self._dropped(self._measured())
        left = np.array([cell for cell in range(size) if cell not in self._scores], dtype=np.intp)
        if leader is not None:
            # Also rows that are only believed to be worse: what a race ends with is tested, not believed.
            tested = [row for row, why in dropped.items() if why.why != "belief"]
            rivals = np.setdiff1d(np.arange(len(self._rows)), tested)
            gaps, errors = self._belief().differences(rivals, leader)
            if _exceeds(MARGIN, gaps, errors).sum() < LEVEL:
                order = rivals[by_improvement(gaps, errors)]
                final = [leader, *order[order != leader][:1]]
                confirming = np.isin(self._grid.row[left], final) & (self._seeds[self._grid.block[left]] < SEEDS)
                batch: list[int] = left[confirming].tolist()
                self.ended = "" if batch else "decided"
                return batch
        rows = np.array([row for row in range(len(self._rows)) if row not in dropped], dtype=np.intp)
        most = max(_LEAST_BATCH, min(int(_BATCH * size), _MOST_BATCH))
        cells = racing_cells(self._belief(), rows, self._grid.at(left), self._seeds, most) if len(rows) else []
        batch = left[cells].tolist()
        self.ended = "" if batch else "exhausted"
        return batch


def _exceeds(margin: float, gaps: Floats, errors: Floats) -> Floats:
    """Return the believed probabilities that differences exceed a margin. gaps, errors: means and standard deviations."""
    from scipy import stats

    known = errors <= 0
    return np.asarray(np.where(known, gaps > margin, stats.norm.sf((margin - gaps) / np.where(known, 1.0, errors))))


def _normal_quantile() -> float:
    from scipy import stats

    return float(stats.norm.ppf(1 - LEVEL / 2))
