"""One board of a search, which is a data set, profile and model: its race, and what it says of each combination."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ltbench.costs import is_cost
from ltbench.racing.halves import Halves
from ltbench.racing.race import MARGIN, Race
from ltbench.racing.standing import Block, Standing
from ltbench.records.search_file import SearchedRow, State

if TYPE_CHECKING:
    from ltbench.planning.selection import Compared
    from ltbench.planning.settings import Setting

Cell = tuple[int, int]
"""Row and block."""


class Board:
    """The race of one data set, profile and model."""

    race: Race
    halves: Halves
    metric: Compared

    def __init__(self, name: str, settings: Sequence[Setting], pairs: Sequence[tuple[int, int]]) -> None:
        self.name = name
        self.places = [(setting, seeds) for seeds in pairs for setting in settings]
        self.blocks = [Block(setting.labels["imbalance_factor"], seeds) for setting, seeds in self.places]
        self.trainings: list[object] = []
        """Of each row what tells which training it uses."""
        self.cells: dict[Cell, str] = {}
        """Keys of the cells that were planned."""
        self.half_cells: dict[Cell, str] = {}
        self.told: dict[Cell, bool] = {}
        """Cells that were run, and whether each lacks only the number by which rows are compared."""
        self.stopped: dict[int, str] = {}
        """Rows that were given up half-way, with the reason."""
        self.one = 1.0
        """What the race takes for 1, as it reckons in fractions: the largest cost, if rows are compared by costs."""

    def rows(self, labels: Sequence[str], number: str) -> Iterator[SearchedRow]:
        """Yield where each row stands. labels: of the rows; number: words for what they are compared by."""
        run = Counter(row for row, _ in self.told)
        undefined = {row for (row, _), lacks in self.told.items() if lacks}
        for standing in self.race.standings():
            row = standing.row
            state, why = self._state(standing, labels)
            if row in self.stopped:
                state, why = "stopped half-way", self.stopped[row]
            elif row in undefined:
                state, why = "undefined", f"{number} is undefined in a cell"
            yield SearchedRow(
                combination=labels[row], board=self.name, state=state, cells=run[row], why=why,
                is_best=row == self.race.best,
            )  # fmt: skip

    def _state(self, standing: Standing, labels: Sequence[str]) -> tuple[State, str]:
        out = standing.dropped
        better = "" if out is None or out.than is None else labels[out.than]
        if out is not None and out.why == "failed":
            return "failed", "a cell failed"
        if standing.cells == 0:
            why = f"believed to be worse than {better}, by what its techniques add in rows that were run"
            return "never run", "the search ended before" if out is None else why
        if out is None:
            return "in the lead", ""
        return "surely worse", f"{'significantly' if out.why == 'tests' else 'believed to be'} worse than {better}"


def why_ended(boards: Sequence[Board]) -> str:
    """Return why a search ended that was not stopped."""
    ends = {board.race.ended for board in boards}
    if "" in ends:
        return "It ended with its budget."
    if all(board.race.best is None for board in boards):
        return "It ended as no combination has a number to compare by."
    if ends == {"exhausted"}:
        return "It ended as every combination that may be the best one was run in all blocks."
    margin = f"{MARGIN / 100 * boards[0].one:.3g}" if is_cost(boards[0].metric.number) else f"{MARGIN:g} points"
    return f"It ended as no combination is likely to be better than the best one by more than {margin}."
