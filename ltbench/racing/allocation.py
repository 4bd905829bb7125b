"""Which cells a search asks for next: a design to begin with, then those that tell the leader from its challengers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from ltbench.racing.belief import Belief, Model, Sizes

if TYPE_CHECKING:
    import numpy.typing as npt

    from ltbench.leaderboard.statistics.estimates import Floats
    from ltbench.racing.likeness import Cells, Numbers

    Flags = npt.NDArray[np.bool_]

_SPREAD: Final = 500
"""Rows that a design is chosen from; of more rows, so many that are evenly spaced."""
_CONTENDERS: Final = 64
"""Challengers that a batch of cells is chosen for."""
_DIGITS: Final = 9
"""Decimals beyond which numbers are equal, so that machines that differ in the last ones ask for the same cells."""


def screening_cells(model: Model, cells: Cells, most: int) -> list[int]:
    """Return the cells that tell most of all rows before any score is known; positions in `cells`, at most so many.

    One after the other, each cell is the one after which the rows' differences to their average have the smallest sum of
    variances, with effects of typical sizes: a design that fills the space of rows, as the screening design of a suite
    does with effects of any size (`planning.screen`).
    """
    rows = np.unique(cells.row)
    spaced = np.linspace(0, len(rows) - 1, min(len(rows), _SPREAD)).round().astype(np.intp)
    there = np.flatnonzero(np.isin(cells.row, rows[spaced]))
    nothing = cells.at(there[:0])
    covariance = Belief(model, Sizes.typical(model.factors), nothing, np.zeros(0)).joint(rows[spaced], cells.at(there))
    many, free = len(spaced), np.ones(len(there), dtype=bool)
    found: list[int] = []
    for _ in range(min(most, len(there))):
        across = covariance[:many, many:]
        explained = ((across - across.mean(axis=0)) ** 2).sum(axis=0)
        # The variance of a chosen cell is zero.
        variance = np.where(free, covariance.diagonal()[many:], 1.0)
        best = _highest(np.where(free, explained / variance, -1.0))
        covariance = _given(covariance, [many + best])
        free[best] = False
        found.append(int(there[best]))
    return found


def racing_cells(belief: Belief, rows: Numbers, cells: Cells, seeds: Numbers, most: int) -> list[int]:
    """Return the cells that tell the leader from rows that may be better; positions in `cells`, about so many.

    rows: those that may be best; cells: those that are left; seeds: int [blocks], number of the seeds of a block. Again and
    again the challenger is the row that is expected to improve most on the leader, and what is run next is the leader,
    the challenger or both with one pair of seeds, at all factors: what tells most of their difference for its number of
    cells. Their scores are taken to be as believed, so the next challenger is often another one. Source: Qin, Klabjan
    and Russo, "Improving the expected improvement algorithm" (NeurIPS 2017).
    """
    leader = int(rows[_highest(belief.means(rows)[0])])
    order = by_improvement(*belief.differences(rows, leader))
    contenders = np.array(
        [leader, *(row for row in rows[order].tolist() if row != leader)][: _CONTENDERS + 1], dtype=np.intp
    )
    there = np.flatnonzero(np.isin(cells.row, contenders))
    among = cells.at(there)
    gaps, covariance = belief.differences(contenders, leader)[0], belief.joint(contenders, among)
    free = np.ones(len(there), dtype=bool)
    found: list[int] = []
    while len(found) < most and (move := _move(covariance, gaps, contenders, among, seeds[among.block], free)):
        covariance = _given(covariance, [len(contenders) + one for one in move])
        free[move] = False
        found += there[move].tolist()
    return found


def by_improvement(gaps: Floats, errors: Floats) -> Numbers:
    """Return the order of rows by the expected value of what they are better than the leader, 0 if they are not.

    gaps, errors: float [rows], means and standard deviations of the differences to the leader.
    """
    from scipy import stats

    safe = np.where(errors > 0, errors, 1.0)
    expected = gaps * stats.norm.cdf(gaps / safe) + errors * stats.norm.pdf(gaps / safe)
    return np.argsort(-np.round(np.where(errors > 0, expected, np.maximum(gaps, 0.0)), _DIGITS), kind="stable")


def _move(
    covariance: Floats, gaps: Floats, contenders: Numbers, among: Cells, seeds: Numbers, free: Flags
) -> list[int]:
    """Return what to run next of the leader, the first of the contenders, and a challenger; nothing if nothing is left.

    covariance: of the means of contenders and the scores of `among`; seeds, free: of each of `among`.
    """
    many = len(contenders)
    variances = covariance.diagonal()[:many]
    errors = np.sqrt(np.maximum(variances + variances[0] - 2 * covariance[0, :many], 0.0))
    for rival in by_improvement(gaps, errors).tolist():
        if rival == 0:
            continue
        first, second = (_by_seeds(np.flatnonzero(free & (among.row == row)), seeds) for row in contenders[[0, rival]])
        together = [first[one] + second[one] for one in first if one in second]
        moves = [*first.values(), *second.values(), *together]
        gains = [_gain(covariance, many, rival, move) for move in moves]
        if gains and max(gains) > 10.0**-_DIGITS:
            return moves[_highest(np.array(gains))]
    return []


def _by_seeds(cells: Numbers, seeds: Numbers) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for cell in cells.tolist():
        found.setdefault(int(seeds[cell]), []).append(cell)
    return found


def _gain(covariance: Floats, many: int, rival: int, move: list[int]) -> float:
    """Return by how much the variance of the difference between leader and rival falls, for each cell of a move."""
    cells = [many + one for one in move]
    across = covariance[0, cells] - covariance[rival, cells]
    return float(across @ np.linalg.solve(covariance[np.ix_(cells, cells)], across)) / len(move)


def _given(covariance: Floats, known: list[int]) -> Floats:
    """Return the covariance once some of the scores are known."""
    columns = covariance[:, known]
    return np.asarray(covariance - columns @ np.linalg.solve(columns[known], columns.T))


def _highest(values: Floats) -> int:
    return int(np.argmax(np.round(values, _DIGITS)))
