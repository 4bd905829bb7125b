"""The rows of a table: scores, differences, ranks and notes of each combination."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ltbench.leaderboard.statistics.effect_size import effect_size
from ltbench.leaderboard.statistics.pairing import gaps_to, machines_of, unpaired_notes
from ltbench.leaderboard.statistics.ranking import Ranking
from ltbench.leaderboard.statistics.tests_and_intervals import Estimate, estimates, tied
from ltbench.leaderboard.statistics.verdicts import Verdicts, verdicts
from ltbench.records.record import Record, combination_order
from ltbench.technique import written

if TYPE_CHECKING:
    from ltbench.leaderboard.statistics.tests_and_intervals import Floats

COSTS = ("parameters", "macs", "samples")
"""Costs that do not depend on the machine; `samples` are training images seen."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One combination in one table."""

    label: str
    techniques: tuple[tuple[str, str], ...]
    scores: dict[str, Estimate | None]
    """By metric; None if undefined, as for a group without classes."""
    delta: Estimate | None
    """Difference of the ranking metric to that of the table's reference, over the runs that both have."""
    separated: bool
    """Whether the difference to the reference is significant."""
    p: float | None
    """Corrected p-value of that difference; None without a test."""
    effect: float | None
    """`effect_size` of the difference to the reference."""
    rank: int | None
    shared: bool
    """Whether other rows have the same rank."""
    is_best: bool
    """Whether it is the row with the best mean."""
    to_best: Estimate | None
    """Difference of the ranking metric to that row; None for itself, and without a run in common."""
    like_best: bool
    """Whether no row is significantly better, so that this one may be the best."""
    p_best: float | None
    """Corrected p-value that some row is better; None for the best row, and without a test."""
    effect_best: float | None
    n: int
    failed: tuple[str, ...]
    """Ids of the cells that failed."""
    failed_scores: dict[str, str]
    """Score without a number because of a failure -> id of the failed cell."""
    notes: tuple[str, ...]
    costs: dict[str, float | None]


def factor_score(metric: str, factor: float) -> str:
    """Return the name of the ranking metric at one factor in the table across factors."""
    return f"{metric}@{written(factor)}"


def make_rows(
    labels: list[str], scores: dict[str, Floats], records: dict[str, list[Record]], reference: str, ranking: Ranking
) -> tuple[list[Row], Verdicts]:
    """Return rows, best mean first, and the tests between them.

    Rows without a number come last, simple combinations first.
    """
    metric, values = ranking.name, scores[ranking.name]
    found = {name: estimates(matrix) for name, matrix in scores.items()}
    base = labels.index(reference) if reference in labels else None
    machines, environments = machines_of([records[label] for label in labels])
    tests = verdicts(ranking.sign * values, base, machines)
    shared = tied(tests.places)
    deltas, to_best = gaps_to(values, base, machines), gaps_to(values, tests.best, machines)
    single = not any(name.startswith(f"{metric}@") for name in scores)
    rows = []
    for i, label in enumerate(labels):
        mine, primary = records[label], found[metric][i]
        failures = [record for record in mine if record.status == "failed"]
        rows.append(
            Row(
                label=label,
                techniques=mine[0].techniques,
                scores={name: found[name][i] for name in found if name not in COSTS},
                delta=deltas[i],
                separated=tests.separated[i],
                p=tests.p_reference[i],
                effect=effect_size(deltas[i]),
                rank=tests.places[i],
                shared=shared[i],
                is_best=i == tests.best,
                to_best=to_best[i],
                like_best=tests.places[i] is not None and not tests.apart[i],
                p_best=tests.p_best[i],
                effect_best=effect_size(to_best[i]),
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
                    *unpaired_notes(machines, environments, i, tests.best if base is None else base),
                ),
                costs={
                    name: None if (cost := found[name][i]) is None else cost.mean for name in COSTS if name in found
                },
            )
        )
    return sorted(rows, key=lambda row: _place(row, ranking)), tests


def _place(row: Row, ranking: Ranking) -> tuple[object, ...]:
    primary = row.scores[ranking.name]
    return (
        primary is None,
        0.0 if primary is None else -ranking.sign * primary.mean,
        *combination_order(row.techniques),
    )
