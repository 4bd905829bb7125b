"""The rows of a table: scores, differences, ranks and notes of each combination."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import msgspec

from ltbench.leaderboard.statistics.comparisons import Comparisons, compare_rows, mean_estimates
from ltbench.leaderboard.statistics.effect_size import effect_size
from ltbench.leaderboard.statistics.estimates import Estimate, estimates
from ltbench.leaderboard.statistics.ranking import Ranking
from ltbench.leaderboard.statistics.record_groups import Pair
from ltbench.leaderboard.statistics.row_design import RowDesign
from ltbench.records.record import Record, combination_order
from ltbench.technique import written

if TYPE_CHECKING:
    from ltbench.leaderboard.statistics.estimates import Floats

COSTS = ("parameters", "macs", "samples")
"""Costs that do not depend on the machine; `samples` are training images seen."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One combination in one table."""

    label: str
    techniques: tuple[tuple[str, str], ...]
    scores: dict[str, Estimate | None]
    """By metric; None if undefined, as for a group without classes."""
    delta: Estimate | None
    """Difference of the ranking metric to that of the table's reference, with its simultaneous interval."""
    separated: bool
    """Whether that interval leaves out zero, so that the difference is significant."""
    p: float | None
    """Corrected p-value of that difference; None without a test."""
    effect: float | None
    """`effect_size` of the difference to the reference."""
    rank: int | None
    """The best rank that the row may have: one plus the rows that are significantly better."""
    last_rank: int | None
    """The worst rank that it may have."""
    is_best: bool
    """Whether it is the row with the best mean."""
    to_best: Estimate | None
    """Difference of the ranking metric to that row; None for itself, and where the two cannot be compared."""
    p_best: float | None
    """Corrected p-value of that difference; None for the best row, and without a test."""
    effect_best: float | None
    n: int
    failed: tuple[str, ...]
    """Ids of the cells that failed."""
    failed_scores: dict[str, str]
    """Score without a number because of a failure -> id of the failed cell."""
    notes: tuple[str, ...]
    costs: dict[str, float | None]

    @property
    def like_best(self) -> bool:
        """Whether no row is significantly better, so that this one may be the best."""
        return self.rank == 1


class PublishedRow(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers that a source has published for one combination: shown beside the measured ones, and no more."""

    label: str
    """As the measured row of the combination has it, where there is one."""
    techniques: tuple[str, ...]
    source: str
    """Place in the publication: "Table 1"."""
    numbers: dict[str, float]
    """By score, as in `Row.scores`; fractions where the score is one."""
    notes: dict[str, str]
    """Remarks on some of the numbers, by score."""
    measured: bool
    """Whether the table has a row of the same combination."""


class _Labelled(Protocol):
    @property
    def label(self) -> str: ...


def leading_rows(rows: Sequence[_Labelled], most: int | None, reference: str) -> list[int]:
    """Return the places of the first rows, and of the reference wherever it stands; all of them without `most`."""
    return [i for i, row in enumerate(rows) if most is None or i < most or row.label == reference]


def factor_score(metric: str, factor: float) -> str:
    """Return the name of the ranking metric at one factor in the table across factors."""
    return f"{metric}@{written(factor)}"


def make_rows(
    labels: list[str], scores: dict[str, Floats], records: dict[str, list[Record]], runs: list[Pair], reference: str,
    ranking: Ranking,
) -> tuple[list[Row], Comparisons]:  # fmt: skip
    """Return rows, best mean first, and the comparison of all of them in the order of `labels`.

    scores: float [labels, runs] of each score. Rows without a number come last, simple combinations first.
    """
    metric, values = ranking.name, scores[ranking.name]
    design = RowDesign.of([records[label] for label in labels], runs)
    tests = compare_rows(values, design, ranking.sign, fractions=ranking.is_fraction)
    found = {name: estimates(matrix) for name, matrix in scores.items()} | {metric: mean_estimates(values, tests)}
    base, best = labels.index(reference) if reference in labels else None, tests.best
    single = not any(name.startswith(f"{metric}@") for name in scores)
    rows = []
    for i, label in enumerate(labels):
        mine, primary = records[label], found[metric][i]
        failures = [record for record in mine if record.status == "failed"]
        delta, to_best = tests.difference(i, base), tests.difference(i, best)
        rows.append(
            Row(
                label=label,
                techniques=mine[0].techniques,
                scores={name: found[name][i] for name in found if name not in COSTS},
                delta=delta,
                separated=base is not None and bool(tests.significant[i, base]),
                p=tests.p_of(i, base),
                effect=effect_size(delta),
                rank=tests.places[i],
                last_rank=tests.last_places[i],
                is_best=i == best,
                to_best=to_best,
                p_best=tests.p_of(i, best),
                effect_best=effect_size(to_best),
                n=0 if primary is None else primary.n,
                failed=tuple(failure.id for failure in failures),
                failed_scores={
                    score: failure.id
                    for failure in reversed(failures)
                    for score in (factor_score(metric, failure.setting.imbalance_factor), metric)
                    if score in found and found[score][i] is None and (score != metric or single)
                },
                notes=(
                    *sorted({note for record in mine for note in record.notes}),
                    *design.unpaired_notes(i, best if base is None else base),
                ),
                costs={
                    name: None if (cost := found[name][i]) is None else cost.mean for name in COSTS if name in found
                },
            )
        )
    # By the means that are adjusted for missing runs, as the differences are.
    order = sorted(range(len(rows)), key=lambda i: _place(rows[i], ranking.sign * float(tests.means[i])))
    return [rows[i] for i in order], tests


def level_of_first(rows: list[Row], labels: list[str], tests: Comparisons) -> float | None:
    """Return `Table.level` for rows in their order; None where the first two are not tested as pairs of runs."""
    if len(rows) < 2 or rows[1].to_best is None:
        return None
    first, second = (labels.index(row.label) for row in rows[:2])
    return (
        tests.level_of(first, second)
        if tests.variances.tested[first, second] and not tests.variances.welch[first, second]
        else None
    )


def _place(row: Row, mean: float) -> tuple[object, ...]:
    """Return the sort key of a row; mean: adjusted, high is good, NaN without a number."""
    unknown = math.isnan(mean)
    return unknown, 0.0 if unknown else -mean, *combination_order(row.techniques)
