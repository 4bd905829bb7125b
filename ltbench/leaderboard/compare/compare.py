"""Compare two combinations of a suite, two sets of records or two cells, with a paired test."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

import msgspec

from ltbench.columns import BALANCED, HELD_OUT, TOP1, Unit
from ltbench.core.row_labels import BASELINE
from ltbench.core.words import counted
from ltbench.costs import check_costs, is_cost
from ltbench.errors import UnknownName, UsageError
from ltbench.leaderboard.compare import why_different
from ltbench.leaderboard.compare.lines import Line, Matched, cells_of, line_of_table, matched_lines
from ltbench.leaderboard.method_names import Methods
from ltbench.leaderboard.statistics.record_groups import (
    RecordGroup,
    distinguishing_names,
    group_records,
    images_of,
)
from ltbench.leaderboard.statistics.score_array import ScoreArray
from ltbench.records.agreement import Number, agreement
from ltbench.records.record import Record, sort_key
from ltbench.technique import split_outside

_LINES = "the number of lines"


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Two sides, and their differences line by line."""

    names: tuple[str, str]
    metric: str
    lines: list[Line]
    family: str
    """What p-values and intervals are corrected for."""
    only: tuple[list[str], list[str]]
    """Cells of only one side, in words."""
    other_spec: list[str]
    """Differences of the specs of matched cells with different ids."""
    machines: list[str]
    """Differences of the machines, as `torch 2.5 / 2.6`."""
    plugins: list[str]
    """Plugins with another version."""
    metrics: dict[str, tuple[Number, Number]] = {}
    """All metrics, if two cells are compared."""
    unit: Unit = "percent"
    """The unit of the metric."""

    @property
    def same(self) -> bool:
        """Return whether both sides have the same cells with the same numbers."""
        cells = [cell for line in self.lines for cell in line.cells]
        return not any(self.only) and all(cell.same for cell in cells) and not any(any(n.only) for n in self.lines)


def default_metric(records: Iterable[Record]) -> str:
    """Return the metric that fits the test splits of records: balanced accuracy where one of them is not balanced."""
    return BALANCED if any(group.ranking.name == BALANCED for group in group_records(records)) else TOP1


def compare_combinations(
    records: Iterable[Record], first: str, second: str, metric: str, methods: Methods = MappingProxyType({}),
    *, unit: Unit = "percent",
) -> Comparison:  # fmt: skip
    """Compare two combinations, written as in a table, at every factor of every board.

    methods: those that the table names; unit: of the metric.

    Raises `UnknownName` with the nearest names if a combination or the metric does not exist.
    """
    groups = group_records(records)
    labels = {record.label: frozenset(label for _, label in record.techniques) for g in groups for record in g.records}
    sides = tuple(find_combination(text, labels, methods) for text in (first, second))
    label_of = {techniques: label for label, techniques in labels.items()}
    names = (label_of[sides[0]], label_of[sides[1]])
    if sides[0] == sides[1]:
        raise UsageError(f"'{names[0]}' is compared with itself", fix="give two combinations")
    _check_metric(metric, (record for group in groups for record in group.records))
    lines: list[Line] = []
    used: tuple[list[Record], list[Record]] = ([], [])
    for group, where in zip(groups, distinguishing_names(groups), strict=True):
        scores = ScoreArray.of(group.records, metric, fractions=unit == "percent")
        for factor in scores.places:
            found = [{} if factor is None else {r.seeds: r for r in group.ok_records(side, factor)} for side in sides]
            line = line_of_table(scores, factor, names, sides)
            if line.first is not None or line.second is not None or found[0] or found[1]:
                cells = cells_of(found[0], found[1], metric)
                lines.append(msgspec.structs.replace(line, where=where, cells=cells))
                used[0].extend(found[0].values())
                used[1].extend(found[1].values())
    return Comparison(
        names=names, metric=metric, lines=lines, family="all pairs of rows of the same table", only=([], []),
        other_spec=[], machines=why_different.machines(*used), plugins=[], unit=unit,
    )  # fmt: skip


def compare_sets(
    first: Sequence[Record], second: Sequence[Record], names: tuple[str, str], metric: str, *, unit: Unit = "percent"
) -> Comparison:
    """Compare two sets of records, combination by combination and run by run. unit: of the metric.

    Cells are matched by id, else by setting and techniques. Raises `UnknownName`.
    """
    _check_metric(metric, (*first, *second))
    sides = [group_records(side) for side in (first, second)]
    images = [images_of(side) for side in sides]
    # Of each side what its leaderboard shows: runs of one row have one revision of each technique.
    first, second = ([record for group in side for record in group.records] for side in sides)
    by_id = {record.id: record for record in second}
    by_place: dict[tuple[object, ...], list[Record]] = {}
    for record in second:
        by_place.setdefault(_place(record), []).append(record)
    pairs: list[tuple[Record, Record]] = []
    own_ids = {record.id for record in first}
    for record in sorted(first, key=sort_key):
        match = by_id.get(record.id)
        # With several recipes at one place, none is known to be the same experiment.
        rivals = [other for other in by_place.get(_place(record), []) if other.id not in own_ids]
        if match is None and len(rivals) == 1:
            match = rivals[0]
        if match is not None:
            pairs.append((record, match))
    matched = ({a.id for a, _ in pairs}, {b.id for _, b in pairs})
    groups: dict[tuple[object, ...], Matched] = {}
    for a, b in pairs:
        line = groups.setdefault(_line_key(a), Matched("", a.setting.imbalance_factor, (a.label, b.label), {}, {}))
        line.first[a.seeds], line.second[a.seeds] = a, b
    for where, line in zip(_places([next(iter(line.first.values())) for line in groups.values()]), groups.values(),
                           strict=True):  # fmt: skip
        line.where = where
    only = tuple(
        _described(record for record in side if record.id not in done)
        for side, done in zip((first, second), matched, strict=True)
    )
    return Comparison(
        names=names,
        metric=metric,
        family=_LINES,
        lines=matched_lines(list(groups.values()), metric, fractions=unit == "percent"),
        only=(only[0], only[1]),
        other_spec=[
            *sorted({difference for a, b in pairs if a.id != b.id for difference in why_different.specs(a, b)}),
            *(
                f"{dataset}: other images on the two sides, so nothing is paired"
                for dataset in sorted(images[0].keys() & images[1].keys())
                if images[0][dataset].isdisjoint(images[1][dataset])
            ),
            *(
                f"{side}: {counted(older, 'record')} of earlier revisions {'is' if older == 1 else 'are'} left out"
                for side, groups in zip("AB", sides, strict=True)
                if (older := sum(group.older for group in groups))
            ),
        ],
        machines=why_different.machines([a for a, _ in pairs], [b for _, b in pairs]),
        plugins=why_different.plugins(pairs),
        unit=unit,
    )


def compare_cells(first: Record, second: Record, metric: str, *, unit: Unit = "percent") -> Comparison:
    """Compare any two cells. unit: of the metric."""
    _check_metric(metric, (first, second))
    line = Matched(
        "", first.setting.imbalance_factor, (first.label, second.label), {first.seeds: first}, {first.seeds: second}
    )
    return Comparison(
        names=(f"{first.id} {first.label}", f"{second.id} {second.label}"), metric=metric,
        lines=matched_lines([line], metric, fractions=unit == "percent"), family=_LINES, only=([], []), other_spec=why_different.specs(first, second),
        machines=why_different.machines([first], [second]), plugins=why_different.plugins([(first, second)]),
        metrics=agreement(first, second).metrics, unit=unit,
    )  # fmt: skip


def find_combination(text: str, labels: Mapping[str, frozenset[str]], methods: Methods) -> frozenset[str]:
    """Return the techniques of a row, written as in a table. labels: of each row; methods: those that the table names.

    Raises `UnknownName` with the nearest rows.
    """
    written = [word for part in split_outside(text, "+") if (word := part.strip())]
    words = [label for word in written for label in methods.get(word, (word,))]
    asked = frozenset(() if words == [BASELINE] else words)
    if asked in labels.values():
        return asked
    # Pages leave out parameters that every row has alike.
    short = [one for one in labels.values() if sorted(label.partition("[")[0] for label in one) == sorted(words)]
    if len(set(short)) == 1:
        return short[0]
    raise UnknownName.of("combination", text, labels)


def _check_metric(metric: str, records: Iterable[Record]) -> None:
    records = list(records)
    if is_cost(metric):
        for record in records:
            if classes := record.data.get("classes"):
                check_costs(metric, classes, record.setting.dataset)
        return
    known = {name for record in records for name in (*record.metrics, BALANCED)}
    known |= {
        HELD_OUT + name
        for record in records
        if record.held_out is not msgspec.UNSET
        for name in record.held_out.metrics
    }
    if known and metric not in known:
        raise UnknownName.of("metric", metric, known)


def _line_key(record: Record) -> tuple[object, ...]:
    return (*record.board, record.setting.imbalance_factor, record.techniques)


def _places(records: Sequence[Record]) -> list[str]:
    groups: list[RecordGroup] = group_records(records)
    names = distinguishing_names(groups)
    of = {record.id: name for group, name in zip(groups, names, strict=True) for record in group.records}
    return [of.get(record.id, "") for record in records]


def _described(records: Iterable[Record]) -> list[str]:
    """Describe cells in words, one line for the runs of a combination and factor."""
    groups: dict[tuple[object, ...], list[Record]] = {}
    for record in sorted(records, key=sort_key):
        groups.setdefault(_line_key(record), []).append(record)
    lines = []
    for cells in groups.values():
        s = cells[0].setting
        seeds = ", ".join("/".join(map(str, r.seeds)) for r in cells)
        where = f"imbalance factor {s.imbalance_factor:g} ({s.dataset}, {s.model})"
        lines.append(f"{cells[0].label}, {where}, subset and training seeds {seeds}")
    return lines


def _place(record: Record) -> tuple[object, ...]:
    """Return the key of a record without its recipe. Runs on other images are no pair."""
    return (record.protocol, *msgspec.structs.astuple(record.setting), record.board[-1], record.techniques)
