"""The data of a report: a core that is read at once, and details that are read on demand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from ltbench.leaderboard.html.embedded_json import Pool, compressed_json
from ltbench.leaderboard.html.per_class_and_epoch import classes, lines, matrix
from ltbench.leaderboard.html.tables import ReportTable, number, report_table
from ltbench.leaderboard.html.traces import trace
from ltbench.leaderboard.html.wording import COSTS
from ltbench.leaderboard.publish import SuiteFolder
from ltbench.leaderboard.statistics.effects import interactions, main_effects
from ltbench.leaderboard.statistics.record_groups import RecordGroup, group_records, titles
from ltbench.leaderboard.statistics.score_array import ScoreArray
from ltbench.leaderboard.tables.cell_text import reference_text
from ltbench.leaderboard.tables.table import Board
from ltbench.records.record import Record, combination_order
from ltbench.stages import TECHNIQUE_STAGES
from ltbench.technique import written

LINES_BYTES = 4_500_000
MATRIX_BYTES = 4_500_000
"""Size limits of lines and matrices in the file; rows further down the tables are left out beyond."""
TOGETHER = 8
"""Rows whose traces are compressed together, as they have much in common."""


class ReportRow(msgspec.Struct, frozen=True):
    """A row of a table of one factor, with its records."""

    place: int
    """In its table, the reference before all others."""
    order: list[int]
    records: list[Record]


class ReportContent(msgspec.Struct, frozen=True, kw_only=True):
    """The data of the file; details are compressed, None if left out or missing."""

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
    boards = [
        _board(board, group, title, combinations, pool, rows)
        for board, group, title in zip(
            loaded.boards,
            group_records(loaded.records, loaded.facts.metric, loaded.columns),
            titles(loaded.boards),
            strict=True,
        )
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
        "stages": list(TECHNIQUE_STAGES),
        "combinations": [{"label": label, "techniques": list(techniques)} for label, techniques in labels],
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
    }
    return ReportContent(
        core=core, lines=_within(rows, LINES_BYTES, lines), matrices=_within(rows, MATRIX_BYTES, matrix), traces=traces
    )


def reference_of(loaded: SuiteFolder) -> str:
    """Return the label of the row that the differences of all tables are taken to."""
    return next((table.reference for board in loaded.boards for table in board.tables), "baseline")


def _board(
    board: Board, group: RecordGroup, title: str, combinations: Mapping[str, int], pool: Pool, rows: list[ReportRow]
) -> dict[str, Any]:
    """Return a board, and add the rows of its tables to `rows`."""
    by_factor: dict[float | None, dict[str, list[Record]]] = {None: {}}
    for record in group.records:
        for factor in (record.setting.imbalance_factor, None):
            by_factor.setdefault(factor, {}).setdefault(record.label, []).append(record)
    tables: list[ReportTable] = []
    for table in board.tables:
        here = by_factor[table.factor]
        table_classes = classes([record for records in here.values() for record in records])
        pooled = {"names": table_classes.names, "counts": table_classes.counts}
        tables.append(
            report_table(table, here, combinations, pool.put(pooled) if table_classes.names else None, len(rows))
        )
        rows += [
            ReportRow(-1 if row.label == table.reference else place, table_classes.order, here[row.label])
            for place, row in enumerate(table.rows)
        ]
    if board.across:
        tables.insert(0, report_table(board.across, by_factor[None], combinations, None, -1))
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
            "why": board.ranking.why,
        },
        "missing": [
            {"combination": combinations[label], "factor": factor, "runs": runs}
            for label, factor, runs in board.missing
        ],
        "tables": tables,
        "effects": effects(group.records, board.ranking.name),
    }


def effects(records: Sequence[Record], metric: str) -> list[dict[str, Any]]:
    """Return the main effects and the interactions of comparable records on a metric, in percentage points."""
    scores = ScoreArray.of(records, metric)
    return [
        {"techniques": effect.techniques, "factor": effect.factor, "n": effect.n, "contexts": effect.contexts}
        | {field: number(getattr(effect, field), "percent") for field in ("mean", "low", "high")}
        for effect in (*main_effects(scores), *interactions(scores))
    ]


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
