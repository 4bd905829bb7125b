"""The data of a report: a core that is read at once, and details that are read on demand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from ltbench.leaderboard.figures.looks import Look
from ltbench.leaderboard.figures.shown import ShownOnPage
from ltbench.leaderboard.html.differences import differences
from ltbench.leaderboard.html.effects import effects
from ltbench.leaderboard.html.embedded_json import Pool, compressed_json
from ltbench.leaderboard.html.per_class_and_epoch import classes, lines, matrix
from ltbench.leaderboard.html.tables import ReportTable, report_table
from ltbench.leaderboard.html.traces import trace
from ltbench.leaderboard.html.wording import COSTS
from ltbench.leaderboard.page.answer_changes import inseparable
from ltbench.leaderboard.page.best_row import best_row
from ltbench.leaderboard.publish import SuiteFolder
from ltbench.leaderboard.statistics.analysis import Analysis
from ltbench.leaderboard.statistics.record_groups import titles
from ltbench.leaderboard.tables.cell_text import reference_text
from ltbench.leaderboard.tables.table import Board, Table
from ltbench.records.comparability import ROW_STAGES
from ltbench.records.record import Record, combination_order
from ltbench.technique import written

LINES_BYTES = 4_500_000
MATRIX_BYTES = 4_500_000
"""Size limits of lines and matrices in the file; rows further down the tables are left out beyond."""
_ON_DARK = 0.62
"""Share of a colour that is left where it is mixed with white to be seen on a dark background."""
TOGETHER = 8
"""Rows whose traces are compressed together, as they have much in common."""


class ReportLook(msgspec.Struct, frozen=True, kw_only=True):
    """How a combination is drawn: as in the figures of the page."""

    color: str
    dark: str
    """Its colour on a dark background."""
    marker: str
    """A marker of matplotlib."""
    dashed: bool

    @classmethod
    def of(cls, look: Look) -> ReportLook:
        return cls(color=look.color, dark=look.tint(_ON_DARK), marker=look.marker, dashed=look.dashed)


class ReportRow(msgspec.Struct, frozen=True):
    """A row of a table of one factor, with its records."""

    place: int
    """In its table, the reference before all others."""
    order: list[int]
    records: list[Record]


class ReportContent(msgspec.Struct, frozen=True, kw_only=True):
    """The data of the file; details are compressed, None if left out or missing."""

    answer: list[str]
    """Sentences; empty without a number."""
    core: dict[str, Any]
    lines: list[str | None]
    matrices: list[str | None]
    traces: list[str]


def report_content(loaded: SuiteFolder) -> ReportContent:
    """Return the content of the report of a suite's folder."""
    pool = Pool()
    labels = sorted(
        {record.label: record.techniques for record in loaded.records}.items(),
        key=lambda item: combination_order(item[1]),
    )
    combinations = {label: i for i, (label, _) in enumerate(labels)}
    rows: list[ReportRow] = []
    analyses = loaded.analyses
    page = ShownOnPage(loaded.facts, [one.group for one in analyses], loaded.boards)
    said = loaded.answer
    boards = [
        {
            **_board(board, analysis, title, said, combinations, pool, rows),
            "shown": [combinations[one.label] for one in page.series(analysis.group)],
        }
        for board, analysis, title in zip(loaded.boards, analyses, titles(loaded.boards), strict=True)
    ]
    traces = [
        compressed_json([[trace(record, pool) for record in row.records] for row in rows[start : start + TOGETHER]])
        for start in range(0, len(rows), TOGETHER)
    ]
    core = {
        "name": loaded.facts.name,
        "reference": {
            "combination": combinations.get(reference_of(loaded)),
            "text": reference_text(reference_of(loaded)),
        },
        "stages": list(ROW_STAGES),
        "combinations": [
            {
                "label": label, "short": page.names.get(label, label), "techniques": list(techniques),
                "look": ReportLook.of(page.looks.get(label, Look())),
            }
            for label, techniques in labels
        ],
        "boards": boards,
        "costs": [{"cost": name, "name": word.name, "about": word.about} for name, word in COSTS.items()],
        "provenance": loaded.trust.provenance,
        "withdrawn": [
            {
                "id": record.id,
                "label": record.label,
                "factor": record.setting.imbalance_factor,
                "seed": record.setting.seed,
                "reason": reason,
            }
            for record, reason in loaded.trust.withdrawn
        ],
        "together": TOGETHER,
        "pool": pool.values,
    }  # fmt: skip
    return ReportContent(
        answer=said, core=core, lines=_within(rows, LINES_BYTES, lines), matrices=_within(rows, MATRIX_BYTES, matrix),
        traces=traces,
    )  # fmt: skip


def reference_of(loaded: SuiteFolder) -> str:
    """Return the label of the row that the differences of all tables are taken to."""
    return next((table.reference for board in loaded.boards for table in board.tables), "baseline")


def _board(
    board: Board, analysis: Analysis, title: str, said: Sequence[str], combinations: Mapping[str, int], pool: Pool,
    rows: list[ReportRow],
) -> dict[str, Any]:  # fmt: skip
    """Return a board, and add the rows of its tables to `rows`. said: the sentences of the answer."""
    group, scores = analysis.group, analysis.scores
    by_factor: dict[float | None, dict[str, list[Record]]] = {None: {}}
    for record in group.records:
        for factor in (record.setting.imbalance_factor, None):
            by_factor.setdefault(factor, {}).setdefault(record.label, []).append(record)
    tables: list[ReportTable] = []
    for table in board.tables:
        here = by_factor[table.factor]
        table_classes = classes([record for records in here.values() for record in records])
        pooled = {"names": table_classes.names, "counts": table_classes.counts, "size": table_classes.size}
        tables.append(
            report_table(
                table, here, combinations, best=_best(table, board, said), differences=differences(table, scores),
                classes=pool.put(pooled) if table_classes.names else None, first_row=len(rows),
            )
        )  # fmt: skip
        rows += [
            ReportRow(-1 if row.label == table.reference else place, table_classes.order, here[row.label])
            for place, row in enumerate(table.rows)
        ]
    if board.across:
        across = report_table(
            board.across, by_factor[None], combinations, best=_best(board.across, board, said),
            differences=differences(board.across, scores), classes=None, first_row=-1,
        )  # fmt: skip
        tables.insert(0, across)
    return {
        "name": title,
        "dataset": board.dataset,
        "recipe": ", ".join(f"{key}={written(value)}" for key, value in sorted(board.recipe.items())),
        "protocol": board.protocol,
        "versions": board.versions,
        "ranking": {
            "score": board.ranking.name,
            "title": board.ranking.column.title,
            "words": board.ranking.words,
            "unit": board.ranking.unit,
            "sign": board.ranking.sign,
            "why": board.ranking.why,
        },
        "missing": [
            {"combination": combinations[label], "factor": factor, "runs": runs}
            for label, factor, runs in board.missing
        ],
        "tables": tables,
        "effects": effects([*analysis.effects, *analysis.pairs], board.ranking.unit),
        "inseparable": [inseparable(names) for names in analysis.together],
    }


def _best(table: Table, board: Board, said: Sequence[str]) -> str:
    """Return a sentence on the best row; empty where the answer is about this table and names that row."""
    best = best_row(table)
    named = best.partition(";")[0].rstrip(".")
    return "" if table is board.main_table and any(named in sentence for sentence in said) else best


def _within(
    rows: Sequence[ReportRow], most: int, make: Callable[[list[Record], list[int]], object]
) -> list[str | None]:
    """Return the compressed result of `make` for each row, best rows of each table first, up to `most` bytes."""
    result: list[str | None] = [None] * len(rows)
    taken = 0
    for i in sorted(range(len(rows)), key=lambda i: (rows[i].place, i)):
        made = make([record for record in rows[i].records if record.status == "ok"], rows[i].order)
        if made is None:
            continue
        text = compressed_json(made)
        taken += len(text)
        if taken > most:
            break
        result[i] = text
    return result
