"""Where rows stand in a search: what was measured, what is believed, and why a row is out."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec
import numpy as np

from ltbench.leaderboard.statistics.comparisons import Comparisons, compare_rows, mean_estimates
from ltbench.leaderboard.statistics.estimates import Estimate
from ltbench.leaderboard.statistics.row_design import RowDesign

if TYPE_CHECKING:
    from ltbench.racing.likeness import Techniques


class Block(msgspec.Struct, frozen=True):
    """What rows are compared within."""

    factor: float
    """Imbalance factor."""
    seeds: tuple[int, int]
    """Subset seed and training seed."""


class Believed(msgspec.Struct, frozen=True):
    """What the model believes: no measurement."""

    mean: float
    """Over all factors."""
    half: float
    """Half the width of the interval that has the mean with a belief of 95 %."""


class Dropped(msgspec.Struct, frozen=True):
    """Why a row is out: it failed; the simultaneous tests say that it is worse than `than`, or the model believes so."""

    why: Literal["failed", "tests", "belief"]
    than: int | None = None
    """The row that is better."""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Where a row stands."""

    row: int
    cells: int
    """Cells that have a score; 0 for a row that was never run, or that failed in each."""
    measured: Estimate | None
    """Mean over the factors, of its seeds with a score at each; None without such seeds."""
    places: tuple[int, int] | None
    """Best and worst rank among the rows that are measured; None for a row that is not."""
    believed: Believed
    """What the model believes of its mean, from all scores."""
    dropped: Dropped | None


class Measured(NamedTuple):
    """The rows that were run with whole pairs of seeds, and their comparison."""

    rows: list[int]
    estimates: list[Estimate | None]
    compared: Comparisons | None
    """Of these rows; None if there are none."""

    def dropped(self) -> dict[int, Dropped]:
        """Return the rows that are significantly worse than another one, the best of those."""
        if self.compared is None:
            return {}
        found = self.compared
        better = (found.low if found.sign > 0 else -found.high) > 0
        result = {}
        for place, row in enumerate(self.rows):
            above = np.flatnonzero(better[:, place])
            if len(above):
                than = above[np.argmax(found.sign * found.means[above])]
                result[row] = Dropped("tests", self.rows[int(than)])
        return result


def measured(
    scores: Mapping[tuple[int, int], float],
    rows: Sequence[Techniques],
    blocks: Sequence[Block],
    trainings: Sequence[Hashable] | None,
    sign: int,
) -> Measured:
    """Return the comparison of rows by their means over factors. scores: of cells; the others as for `Race`."""
    factors = len({block.factor for block in blocks})
    seeds = list(dict.fromkeys(block.seeds for block in blocks))
    sums: dict[tuple[int, int], list[float]] = {}
    for (row, block), score in sorted(scores.items()):
        sums.setdefault((row, seeds.index(blocks[block].seeds)), []).append(score)
    whole = {place: sum(found) / factors for place, found in sums.items() if len(found) == factors}
    known, runs = sorted({row for row, _ in whole}), sorted({run for _, run in whole})
    if not known:
        return Measured([], [], None)
    values = np.full((len(known), len(runs)), np.nan)
    for (row, run), mean in whole.items():
        values[known.index(row), runs.index(run)] = mean
    design = RowDesign(
        blocks=np.tile(np.arange(len(runs), dtype=np.intp), (len(known), 1)),
        kinds=_kinds(known, rows, trainings),
        machines=np.where(np.isfinite(values), 0, -1).astype(np.intp),
    )
    compared = compare_rows(values, design, sign)
    return Measured(known, mean_estimates(values, compared), compared)


def _kinds(known: Sequence[int], rows: Sequence[Techniques], trainings: Sequence[Hashable] | None) -> np.ndarray:
    """Return `RowDesign.kinds` of rows that use one training: a number of what they differ in."""
    kinds = np.zeros((len(known), len(known)), dtype=np.intp)
    if trainings is None:
        return kinds
    numbers: dict[frozenset[object], int] = {}
    for place, one in enumerate(known):
        for other_place, other in enumerate(known[:place]):
            if trainings[one] == trainings[other]:
                mine, others = frozenset(rows[one]), frozenset(rows[other])
                number = numbers.setdefault(frozenset({mine - others, others - mine}), len(numbers) + 1)
                kinds[place, other_place] = kinds[other_place, place] = number
    return kinds
