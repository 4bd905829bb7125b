"""Make tables of records: one per imbalance factor and one across them.

Records are compared only within a board: one protocol, data set, profile, model and recipe. Nothing is imputed: a
combination that lacks a cell has fewer runs, and no mean across factors.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from ltbench.columns import CLASS_SUPPORT, Column
from ltbench.core.spec import Spec
from ltbench.leaderboard.statistics.effect_size import effect_size
from ltbench.leaderboard.statistics.ranking import DEFAULT, Ranking
from ltbench.leaderboard.statistics.record_groups import BoardFields, Pair, RecordGroup, group_records
from ltbench.leaderboard.statistics.tests_and_intervals import (
    LEVEL,
    Estimate,
    areas,
    differences,
    estimates,
    pooled,
    tied,
    welch,
)
from ltbench.leaderboard.statistics.verdicts import Machines, Verdicts, verdicts
from ltbench.leaderboard.tables.columns import AREA, columns_of
from ltbench.records.machines import machine_type, unlike_machines
from ltbench.records.record import Record, combination_order, sort_key
from ltbench.suite.published import Combination
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


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of one imbalance factor, best first; of all factors where `factor` is None."""

    factor: float | None
    rows: list[Row]
    columns: tuple[Column, ...]
    """The scores, and how they are shown."""
    expected: int
    """Runs that a complete row has."""
    ranking: Ranking = DEFAULT
    """What rows are ordered, compared and tested by."""
    reference: str = "baseline"
    """Label of the row that `delta` is taken to, whether or not the table has it."""
    pairs: int = 0
    """Pairs of rows over which the tests are corrected."""
    level: float = LEVEL
    """The level of a single one of these tests."""
    data: Spec = {}
    """Data of this factor, from the records: counts, classes, realised imbalance."""
    test_images: int | None = None


class Board(BoardFields, frozen=True, kw_only=True):
    """Every table of one protocol, data set, profile, model and recipe."""

    tables: list[Table]
    across: Table | None
    """None where there is a single factor."""
    missing: list[tuple[str, float, tuple[Pair, ...]]]
    """Missing cells of the combinations, as (combination, factor, seeds)."""
    versions: int
    """Records left out because another version of their cell has a higher revision."""

    @property
    def all_tables(self) -> list[Table]:
        """The tables of single factors, then that across factors."""
        return [*self.tables, *([self.across] if self.across else [])]


def make_boards(
    records: Iterable[Record],
    seeds: Iterable[Pair] = (),
    declared: Iterable[Column] = (),
    reference: Combination = (),
    metric: str = "",
) -> list[Board]:
    """Return the boards of records, in a fixed order whatever the order of the records.

    seeds: the pairs (subset seed, training seed) that every combination should have, besides those of the records;
    declared: how scores are shown; reference: the combination that differences are taken to, by default the baseline;
    metric: what rows are ranked by, by default what fits the test split.
    """
    records = sorted(records, key=sort_key)
    columns = columns_of(records, declared)
    wanted = set(seeds)
    return [_make_board(group, wanted, columns, reference) for group in group_records(records, metric, columns)]


def matrices(groups: dict[str, list[Record]], runs: list[Pair], names: Iterable[str]) -> dict[str, Floats]:
    """Return float [combinations, runs] of each score and cost; NaN where it is undefined or missing.

    groups: label -> records at one factor.
    """
    records = [record for group in groups.values() for record in group]
    rows = [row for row, group in enumerate(groups.values()) for _ in group]
    places = {run: place for place, run in enumerate(runs)}
    columns = [places[record.seeds] for record in records]
    numbers = {name: [record.score(name) for record in records] for name in names}
    numbers |= {name: [record.cost.get(name) for record in records] for name in COSTS}
    result = {}
    for name, values in numbers.items():
        result[name] = np.full((len(groups), len(runs)), np.nan)
        result[name][rows, columns] = np.array(values, dtype=np.float64)
    return result


def _make_board(group: RecordGroup, seeds: set[Pair], columns: tuple[Column, ...], reference: Combination) -> Board:
    current = group.records
    ranking = group.ranking
    names = list(dict.fromkeys([ranking.name, *(column.name for column in columns if not column.per_class)]))
    runs = sorted(seeds.union(record.seeds for record in current))
    factors = group.factors
    by_label = _group(current)
    reference_label = _label_of(reference, by_label)
    primary: dict[float, dict[str, Floats]] = {}
    tables = []
    for factor in factors:
        here = [record for record in current if record.setting.imbalance_factor == factor]
        groups = _group(here)
        scores = matrices(groups, runs, names)
        primary[factor] = dict(zip(groups, scores[ranking.name], strict=True))
        data = next((r.data for r in here if r.data), {})
        support = next((r.per_class[CLASS_SUPPORT] for r in here if CLASS_SUPPORT in r.per_class), None)
        rows, tests = _rows(list(groups), scores, groups, reference_label, ranking)
        tables.append(
            Table(
                factor=factor,
                rows=rows,
                ranking=ranking,
                reference=reference_label,
                pairs=tests.pairs,
                level=tests.level,
                columns=columns,
                expected=len(runs),
                data=data,
                test_images=None if support is None else int(sum(s or 0 for s in support)),
            )
        )
    there = {(r.label, r.setting.imbalance_factor, r.seeds) for r in current}
    missing = [
        (label, factor, lacking)
        for factor in factors
        for label in by_label
        if (lacking := tuple(run for run in runs if (label, factor, run) not in there))
    ]
    return Board(
        **{name: getattr(group, name) for name in BoardFields.__struct_fields__},
        tables=tables,
        across=_across(primary, by_label, runs, columns, reference_label, ranking) if len(factors) > 1 else None,
        missing=missing,
        versions=group.older,
    )


def _group(records: list[Record]) -> dict[str, list[Record]]:
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(record.label, []).append(record)
    return groups


def _label_of(combination: Combination, groups: dict[str, list[Record]]) -> str:
    """Return the label that records have for a combination, whose techniques may be in any order."""
    wanted = set(combination)
    same = (label for label, group in groups.items() if {name for _, name in group[0].techniques} == wanted)
    return next(same, " + ".join(combination) or "baseline")


def _across(
    primary: dict[float, dict[str, Floats]],
    records: dict[str, list[Record]],
    runs: list[Pair],
    columns: tuple[Column, ...],
    reference: str,
    ranking: Ranking,
) -> Table:
    # A combination that lacks one factor has NaN there, and so no mean across factors.
    labels = sorted(records, key=lambda label: combination_order(records[label][0].techniques))
    nothing = np.full(len(runs), np.nan)
    parts = {factor: np.stack([rows.get(label, nothing) for label in labels]) for factor, rows in primary.items()}
    scores = {factor_score(ranking.name, factor): part for factor, part in parts.items()}
    scores[ranking.name] = pooled(list(parts.values()))
    scores[AREA] = areas(list(parts.values()), list(parts))
    rows, tests = _rows(labels, scores, records, reference, ranking)
    return Table(
        factor=None, rows=rows, ranking=ranking, reference=reference, pairs=tests.pairs, level=tests.level, columns=columns,
        expected=len(runs),
    )  # fmt: skip


def factor_score(metric: str, factor: float) -> str:
    """Return the name of the ranking metric at one factor in the table across factors."""
    return f"{metric}@{written(factor)}"


def _rows(
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
