"""Make tables of records: one per imbalance factor and one across them.

Records are compared only within a board: one protocol, data set, profile, model and recipe. Nothing is imputed: a
combination that lacks a cell has fewer runs, and no mean across factors.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from ltbench.columns import CLASS_SUPPORT, Column
from ltbench.core.spec import Spec
from ltbench.leaderboard.method_names import Methods, methods_used
from ltbench.leaderboard.statistics.comparisons import Form
from ltbench.leaderboard.statistics.estimates import areas, pooled
from ltbench.leaderboard.statistics.ranking import DEFAULT, Ranking
from ltbench.leaderboard.statistics.record_groups import BoardFields, Pair, RecordGroup, group_records
from ltbench.leaderboard.statistics.relative_accuracy import COLUMN, RELATIVE, relative_scores
from ltbench.leaderboard.tables.columns import AREA, columns_of
from ltbench.leaderboard.tables.rows import COSTS, PublishedRow, Row, factor_score, level_of_first, make_rows
from ltbench.records.record import Record, combination_order, sort_key
from ltbench.suite.published import Combination

if TYPE_CHECKING:
    from ltbench.leaderboard.statistics.estimates import Floats


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
    arcsine: bool = False
    """Whether rows are compared on the scale of the arcsine of the root, as some are near 0 or 100 %."""
    form: Form = "none"
    """How the variance of differences was estimated."""
    level: float | None = None
    """The level of a t test of the first two rows alone that is as strict as the one in the table; None without one."""
    data: Spec = {}
    """Data of this factor, from the records: counts, classes, realised imbalance."""
    test_images: int | None = None
    methods: dict[str, tuple[str, ...]] = {}
    """Methods that name rows with all of their parts -> labels of these."""
    published: tuple[PublishedRow, ...] = ()
    """Published numbers of the same settings, which are shown beside the rows."""


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
    def main_table(self) -> Table:
        """The table that a page is about: that across factors, or that of the only factor."""
        return self.across or self.tables[0]

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
    methods: Methods = MappingProxyType({}),
) -> list[Board]:
    """Return the boards of records, in a fixed order whatever the order of the records.

    seeds: the pairs (subset seed, training seed) that every combination should have, besides those of the records;
    declared: how scores are shown; reference: the combination that differences are taken to, by default the baseline;
    metric: what rows are ranked by, by default what fits the test split; methods: by whose names rows are called.
    """
    records = sorted(records, key=sort_key)
    columns = columns_of(records, declared, metric)
    wanted = set(seeds)
    groups = group_records(records, metric, columns)
    boards = [_make_board(group, groups, wanted, columns, reference) for group in groups]
    return [_with_methods(board, methods) for board in boards] if methods else boards


def _with_methods(board: Board, methods: Methods) -> Board:
    rows = [[label for _, label in row.techniques] for table in board.all_tables for row in table.rows]
    used = {name: methods[name] for name in methods_used(rows, methods)}
    tables = [msgspec.structs.replace(table, methods=used) for table in board.tables]
    across = None if board.across is None else msgspec.structs.replace(board.across, methods=used)
    return msgspec.structs.replace(board, tables=tables, across=across)


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


def _make_board(
    group: RecordGroup, groups: Sequence[RecordGroup], seeds: set[Pair], columns: tuple[Column, ...], reference: Combination
) -> Board:  # fmt: skip
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
        by_row = _group(here)
        scores = matrices(by_row, runs, names)
        primary[factor] = dict(zip(by_row, scores[ranking.name], strict=True))
        relative = relative_scores(group, groups, factor, scores, list(by_row))
        scores |= {} if relative is None else {RELATIVE: relative}
        data = next((r.data for r in here if r.data), {})
        support = next((r.per_class[CLASS_SUPPORT] for r in here if CLASS_SUPPORT in r.per_class), None)
        rows, tests = make_rows(list(by_row), scores, by_row, runs, reference_label, ranking)
        tables.append(
            Table(
                factor=factor,
                rows=rows,
                ranking=ranking,
                reference=reference_label,
                form=tests.form,
                arcsine=tests.scale.arcsine,
                level=level_of_first(rows, list(by_row), tests),
                columns=columns if relative is None else (*columns, COLUMN),
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
    rows, tests = make_rows(labels, scores, records, runs, reference, ranking)
    return Table(
        factor=None, rows=rows, ranking=ranking, reference=reference, form=tests.form, arcsine=tests.scale.arcsine, level=level_of_first(rows, labels, tests), columns=columns,
        expected=len(runs),
    )  # fmt: skip
