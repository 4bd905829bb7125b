"""The rows of a table: scores, differences, ranks and notes of each combination."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from ltbench.core.spec import Spec
from ltbench.leaderboard.statistics.effect_size import effect_size
from ltbench.leaderboard.statistics.ranking import Ranking
from ltbench.leaderboard.statistics.tests_and_intervals import Estimate, differences, estimates, tied, welch
from ltbench.leaderboard.statistics.verdicts import Machines, Verdicts, verdicts
from ltbench.records.machines import machine_type, unlike_machines
from ltbench.records.record import Record, combination_order
from ltbench.technique import written

if TYPE_CHECKING:
    from ltbench.leaderboard.statistics.tests_and_intervals import Floats

NOT_PAIRED = "not paired, as it was run on another type of machine"
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
    to_best: Estimate | None
    """Difference of the ranking metric to the row with the best mean; None for that row."""
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
                    *_unpaired(machines, environments, i, tests.best if base is None else base),
                ),
                costs={
                    name: None if (cost := found[name][i]) is None else cost.mean for name in COSTS if name in found
                },
            )
        )
    return sorted(rows, key=lambda row: _place(row, ranking)), tests


def machines_of(rows: Sequence[Sequence[Record]]) -> tuple[Machines, list[Spec]]:
    """Return the types of machines on which the records of each row were run, and an environment of each type."""
    numbers: dict[tuple[object, ...], int] = {}
    environments: list[Spec] = []
    places: dict[tuple[object, ...], int] = {}
    entries: list[tuple[int, int, int]] = []
    for row, records in enumerate(rows):
        for record in records:
            if record.status == "ok":
                kind = machine_type(record.environment)
                if kind not in numbers:
                    numbers[kind] = len(environments)
                    environments.append(record.environment)
                place = places.setdefault((record.setting.imbalance_factor, record.seeds), len(places))
                entries.append((row, place, numbers[kind]))
    types = np.full((len(rows), len(places)), -1, dtype=np.intp)
    for row, place, number in entries:
        types[row, place] = number
    unlike = [[bool(unlike_machines(one, two)) for two in environments] for one in environments]
    return Machines(types, np.array(unlike, dtype=bool).reshape(len(unlike), len(unlike))), environments


def _unpaired(machines: Machines, environments: Sequence[Spec], row: int, reference: int | None) -> Iterator[str]:
    """Yield a note where a row was run on other machines than the row that it is compared with."""
    rows = [np.array([index], dtype=np.intp) for index in (row, reference) if index is not None]
    if len(rows) < 2 or not machines.differ(*rows)[0]:
        return
    pairs = {(one, two) for one, two in zip(*(machines.types[index[0]].tolist() for index in rows), strict=True)
             if min(one, two) >= 0 and machines.unlike[one, two]}  # fmt: skip
    found = sorted({text for one, two in pairs for text in unlike_machines(environments[two], environments[one])})
    yield f"{NOT_PAIRED}: {', '.join(found)}; compared by Welch's test"


def gaps_to(values: Floats, reference: int | None, machines: Machines) -> list[Estimate | None]:
    """Return the difference of each row to row `reference`, run by run on one machine; None for that row."""
    if reference is None:
        return [None] * len(values)
    others = np.arange(len(values), dtype=np.intp)
    apart = machines.differ(others, np.full(len(values), reference, dtype=np.intp))
    return [
        None if row == reference else welch(values[row], values[reference])[0] if apart[row] else gap
        for row, gap in enumerate(differences(values, reference))
    ]


def _place(row: Row, ranking: Ranking) -> tuple[object, ...]:
    primary = row.scores[ranking.name]
    return (
        primary is None,
        0.0 if primary is None else -ranking.sign * primary.mean,
        *combination_order(row.techniques),
    )
