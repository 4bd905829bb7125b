"""Tables of a report: the cell texts of the markdown page, and numbers for sorting and drawing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from ltbench import longtail
from ltbench.columns import CLASS_SUPPORT, Unit
from ltbench.core.words import classes_without
from ltbench.leaderboard.figures.series import mean
from ltbench.leaderboard.html.differences import Differences
from ltbench.leaderboard.html.wording import COSTS, EFFECT, PASSES, P, column_term, difference_term, score_term
from ltbench.leaderboard.tables.caption import caption
from ltbench.leaderboard.tables.cell_text import (
    DELTA,
    OWN_COUNTS,
    RANK,
    RUNS,
    TextColumn,
    columns,
    factor_text,
    half_text,
    main_columns,
    p_text,
    place_text,
    published_label,
    published_text,
    shown_in,
)
from ltbench.leaderboard.tables.rows import PublishedRow, Row
from ltbench.leaderboard.tables.table import Table
from ltbench.planning.compute_cost import STEP
from ltbench.records.record import Record

Number = float | int | None
_KEYS: dict[str, Callable[[Row], Number]] = {
    RANK: lambda row: row.rank,
    RUNS: lambda row: row.n,
    P: lambda row: row.p,
    EFFECT: lambda row: row.effect,
}


class ReportColumn(msgspec.Struct, frozen=True, kw_only=True):
    """One column; `texts`, `tails` and `numbers` have an entry for each row."""

    heading: str
    name: str
    about: str
    score: str
    """The score of the column, or an empty text."""
    sign: int
    """Whether high (1) or low (-1) is good."""
    unit: Unit
    first: bool
    """Whether it is one of the main columns."""
    texts: list[str]
    tails: list[str]
    best: list[int]
    """Rows with bold text."""
    numbers: list[Number]
    """Sort keys of the column: scores in their unit."""
    ends: list[tuple[Number, Number] | None]
    """Ends of the 95 % interval of each score, in its unit; None without one."""


class ReportedRow(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers that a source has published, below the row of the same combination; never ranked, compared or counted."""

    below: int | None
    """Row of the same combination; None where it was not run here."""
    name: str
    source: str
    texts: list[str]
    """Of each column of the table."""
    notes: list[str]


class ReportTable(msgspec.Struct, frozen=True, kw_only=True):
    """The table of one imbalance factor, or of all where `factor` is None."""

    factor: float | None
    name: str
    place: str
    """In words: `imbalance factor 100`."""
    best: str
    """A sentence on the best row; empty where the answer has it."""
    facts: list[str]
    expected: int
    caption: str
    columns: list[ReportColumn]
    published: list[ReportedRow]
    combinations: list[int]
    """Of each row, the number of its combination."""
    ranks: list[tuple[int, int] | None]
    """Best and worst rank that each row may have."""
    differences: Differences
    n: list[int]
    failed: list[int]
    notes: list[list[str]]
    costs: dict[str, list[Number]]
    classes: int | None
    """Number of the classes in the pool."""
    first_row: int
    """Index of the first row among the rows of all factors of all boards, which have details."""


def report_table(
    table: Table, records: Mapping[str, Sequence[Record]], combinations: Mapping[str, int], *, best: str,
    differences: Differences, classes: int | None, first_row: int,
) -> ReportTable:  # fmt: skip
    """Return a table. records: those of each label; combinations: label -> number; classes: their number in the pool."""
    first = columns(table)
    names = {one.name for one in first}
    more = [one for one in main_columns(table) if one.name not in names]
    more += [*shown_in(table, "folded"), *shown_in(table, "report"), *_tests(table)]
    place = "all imbalance factors (IF)" if table.factor is None else place_text(table.factor, table.data)
    return ReportTable(
        factor=table.factor,
        name="all" if table.factor is None else "own counts" if place == OWN_COUNTS else factor_text(table.factor),
        place=place,
        best=best,
        facts=_facts(table),
        expected=table.expected,
        caption=caption(table),
        columns=[_column(one, table, is_first=i < len(first)) for i, one in enumerate((*first, *more))],
        published=[_published(one, table, (*first, *more)) for one in table.published],
        combinations=[combinations[row.label] for row in table.rows],
        ranks=[None if r.rank is None or r.last_rank is None else (r.rank, r.last_rank) for r in table.rows],
        differences=differences,
        n=[row.n for row in table.rows],
        failed=[len(row.failed) for row in table.rows],
        notes=[list(row.notes) for row in table.rows],
        costs=_costs([records.get(row.label, ()) for row in table.rows]),
        classes=classes,
        first_row=first_row,
    )


def _column(column: TextColumn, table: Table, *, is_first: bool) -> ReportColumn:
    rows, sign = table.rows, 1
    unit: Unit = "percent"
    word = (
        difference_term(table.reference, table.ranking)
        if column.name.startswith(DELTA)
        else column_term(column.name, table.ranking)
    )
    if column.score:
        word = word or score_term(column.score, table.columns, table.ranking)
        if declared := next((one for one in table.columns if one.name == column.score), None):
            unit, sign = declared.unit, 1 if declared.higher_is_better else -1
        found = [row.scores.get(column.score) for row in rows]
        numbers = [number(None if one is None else one.mean, unit) for one in found]
        ends = [None if one is None or one.interval is None else _ends(one.interval, unit) for one in found]
        tails = ["" if one is None else half_text(one, unit) for one in found]
    else:
        numbers = [_sorted_by(column.name, row, table.ranking.unit) for row in rows]
        ends, tails = [], []
    return ReportColumn(
        heading=column.name,
        name=word.name if word else column.name,
        about=word.about if word else "",
        score=column.score,
        sign=-1 if column.name == RANK else sign,
        unit=unit,
        first=is_first,
        texts=column.texts,
        tails=tails,
        best=[i for i, is_best in enumerate(column.best) if is_best],
        numbers=numbers,
        ends=ends,
    )


def _tests(table: Table) -> list[TextColumn]:
    """Return the columns of p-values and effect sizes of the differences to the reference; none without a test."""
    rows = table.rows
    if all(row.p is None for row in rows):
        return []
    texts = {
        P: [p_text(row.p) for row in rows],
        EFFECT: ["" if row.effect is None else f"{row.effect + 0.0:.1f}".replace("-", "−") for row in rows],
    }
    nothing = [""] * len(rows)
    return [
        TextColumn(name=name, score="", texts=shown, best=[False] * len(rows), tail=nothing)
        for name, shown in texts.items()
    ]


def _published(one: PublishedRow, table: Table, shown: Sequence[TextColumn]) -> ReportedRow:
    below = next((place for place, row in enumerate(table.rows) if one.measured and row.label == one.label), None)
    return ReportedRow(
        below=below, name=published_label(one, table), source=one.source,
        texts=[published_text(one, column) for column in shown], notes=list(dict.fromkeys(one.notes.values())),
    )  # fmt: skip


def _ends(interval: tuple[float, float], unit: Unit) -> tuple[Number, Number]:
    low, high = interval
    return number(low, unit), number(high, unit)


def _sorted_by(name: str, row: Row, unit: Unit) -> Number:
    if name in _KEYS:
        return _KEYS[name](row)
    return number(None if row.delta is None else row.delta.mean, unit) if name.startswith(DELTA) else None


def _costs(rows: Sequence[Sequence[Record]]) -> dict[str, list[Number]]:
    """Return the mean of each cost over the successful records of each row; costs that no record has are left out."""
    made = [[record for record in records if record.status == "ok"] for records in rows]
    plain = min((macs for records in made for record in records if (macs := record.cost.get("macs"))), default=None)
    costs: dict[str, list[Number]] = {}
    for name in COSTS:
        values = [mean([_cost(record, name, plain) for record in records]) for records in made]
        if any(value is not None for value in values):
            costs[name] = [None if value is None else float(f"{value:.4g}") for value in values]
    return costs


def _cost(record: Record, name: str, plain: Number) -> Number:
    """Return a cost of a record. plain: multiply-accumulates of the cheapest prediction of an image in the table."""
    if name != PASSES:
        return record.cost.get(name)
    samples, macs = record.cost.get("samples"), record.cost.get("macs")
    if samples is None or macs is None or not plain:
        return None
    tested = sum(support or 0 for support in record.per_class.get(CLASS_SUPPORT, ()))
    return STEP * samples + tested * macs / plain


def _facts(table: Table) -> list[str]:
    """Return the description of the data of one factor, as on the page."""
    counts = [int(count) for count in table.data.get("counts", [])]
    facts = []
    if counts:
        facts.append(f"{len(counts):,} classes of {max(counts):,} to {min(counts):,} training images")
        facts.append(f"{sum(counts):,} training images in all")
        ratio = longtail.realised_imbalance(counts)
        facts += [] if ratio is None else [f"realised imbalance {ratio:.1f}"]
    if table.test_images is not None:
        facts.append(f"{table.test_images:,} test images")
    if held_out := [int(count) for count in table.data.get("held_out", [])]:
        facts.append(f"{sum(held_out):,} images held out of training{classes_without(held_out)}")
    return facts


def number(value: float | None, unit: Unit) -> Number:
    """Return a score in its unit with three decimals."""
    return None if value is None else round(100 * value if unit == "percent" else value, 3) + 0.0
