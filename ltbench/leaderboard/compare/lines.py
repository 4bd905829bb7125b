"""The lines of a comparison: two rows of one table, or a table of two rows for each pair of records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from ltbench.leaderboard.statistics.comparisons import compare_rows, mean_estimates
from ltbench.leaderboard.statistics.estimates import Estimate, estimate
from ltbench.leaderboard.statistics.record_groups import Pair
from ltbench.leaderboard.statistics.row_design import RowDesign
from ltbench.leaderboard.statistics.score_array import ScoreArray
from ltbench.leaderboard.statistics.simultaneous import bonferroni_p, bonferroni_quantile
from ltbench.records.agreement import same_results
from ltbench.records.record import Record


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One run on both sides."""

    subset_seed: int
    seed: int
    ids: tuple[str, str]
    scores: tuple[float | None, float | None]
    same: bool
    """Whether all numbers are bit-identical; only for one combination on both sides."""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One comparison: a combination, or a pair of them, at one imbalance factor."""

    where: str
    """Name of its board, if there are several."""
    factor: float | None
    """None for the mean over the factors of both sides."""
    techniques: tuple[str, str]
    first: Estimate | None
    second: Estimate | None
    difference: Estimate | None
    """Second minus first, over the runs of both sides."""
    p: float | None
    """Corrected p-value of the difference; None where it is not tested."""
    paired: bool
    """Whether both sides of a run are of one type of machine: then the test is paired, else it is Welch's."""
    cells: list[Cell]
    only: tuple[int, int]
    """Runs of only one side."""


def line_of_table(
    scores: ScoreArray, factor: float | None, names: tuple[str, str], sides: Sequence[frozenset[str]]
) -> Line:
    """Return what the table of a leaderboard says of two of its rows."""
    compared, values = scores.compared(factor), scores.at(factor)
    first, second = (scores.row_of(side) for side in sides)
    means = mean_estimates(values, compared)
    known = [
        set() if row is None else set(np.flatnonzero(np.isfinite(values[row])).tolist()) for row in (first, second)
    ]
    both = first is not None and second is not None
    return Line(
        where="", factor=factor, techniques=names,
        first=None if first is None else means[first], second=None if second is None else means[second],
        difference=None if second is None else compared.difference(second, first),
        p=None if second is None else compared.p_of(second, first),
        paired=not (both and bool(compared.variances.welch[first, second])), cells=[],
        only=(len(known[0] - known[1]), len(known[1] - known[0])),
    )  # fmt: skip


@dataclass
class Matched:
    """A line under construction: records of each side by run."""

    where: str
    factor: float
    techniques: tuple[str, str]
    first: dict[Pair, Record]
    second: dict[Pair, Record]


def cells_of(first: Mapping[Pair, Record], second: Mapping[Pair, Record], metric: str) -> list[Cell]:
    return [
        Cell(
            subset_seed=run[0], seed=run[1], ids=(first[run].id, second[run].id),
            scores=(first[run].score(metric), second[run].score(metric)), same=_same(first[run], second[run]),
        )
        for run in sorted(first.keys() & second.keys())
    ]  # fmt: skip


def matched_lines(lines: Sequence[Matched], metric: str, *, fractions: bool = True) -> list[Line]:
    """Return lines that are each a table of two rows; they are corrected for their number (Bonferroni)."""
    scores = [(_scores(line.first, metric), _scores(line.second, metric)) for line in lines]
    found = []
    for line, sides in zip(lines, scores, strict=True):
        # Sorted by run, so that sums round the same way whatever the order of the records.
        runs = sorted(sides[0].keys() & sides[1].keys())
        values = np.array([[side[run] for run in runs] for side in sides]).reshape(2, len(runs))
        records = [[side[run] for run in runs] for side in (line.first, line.second)]
        found.append(compare_rows(values, RowDesign.of(records, runs), fractions=fractions))
    tests = sum(one.p_of(1, 0) is not None for one in found)
    result = []
    for line, (first, second), one in zip(lines, scores, found, strict=True):
        difference, p = one.difference(1, 0), None
        if difference is not None and one.p_of(1, 0) is not None:
            df, error = np.array(one.df[1, 0]), float(one.error[1, 0])
            half = float(bonferroni_quantile(df, tests)) * error
            difference = msgspec.structs.replace(difference, half=half, ends=None)
            p = float(bonferroni_p(np.array(difference.mean / error), df, tests))
        result.append(
            Line(
                where=line.where, factor=line.factor, techniques=line.techniques,
                first=estimate(first.values()), second=estimate(second.values()), difference=difference, p=p,
                paired=not bool(one.variances.welch[1, 0]), cells=cells_of(line.first, line.second, metric),
                only=(len(first.keys() - second.keys()), len(second.keys() - first.keys())),
            )
        )  # fmt: skip
    return result


def _scores(records: Mapping[Pair, Record], metric: str) -> dict[Pair, float]:
    return {run: score for run, record in records.items() if (score := record.score(metric)) is not None}


def _same(first: Record, second: Record) -> bool:
    return first.id == second.id and same_results(first, second)
