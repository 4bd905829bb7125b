"""The whole table as CSV: every board, factor and combination, fractions with six decimals."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import pandas as pd

from ltbench.cells import canonical
from ltbench.leaderboard.table import COSTS, SCORES, Board, Row, Table
from ltbench.records import TECHNIQUE_STAGES
from ltbench.technique import written


def sheet(boards: Sequence[Board]) -> str:
    """Return the CSV text. A factor of `all` is the table across factors; an empty field is undefined or missing."""
    lines = [line for board in boards for line in _lines(board)]
    columns = list(lines[0]) if lines else ["protocol", "dataset", "profile", "model", "techniques"]
    return str(pd.DataFrame(lines, columns=columns).to_csv(index=False, lineterminator="\n"))


def _lines(board: Board) -> Iterator[dict[str, str]]:
    tables = [*board.tables, *([board.across] if board.across else [])]
    for table in tables:
        for row in table.rows:
            yield {
                "protocol": board.protocol,
                "dataset": board.dataset,
                "profile": board.profile,
                "model": board.model,
                "recipe": canonical(board.recipe).decode(),
                "imbalance_factor": "all" if table.factor is None else written(table.factor),
                "techniques": row.label,
                **{stage: dict(row.techniques).get(stage, "") for stage in TECHNIQUE_STAGES},
                **_numbers(row, table),
            }


def _numbers(row: Row, table: Table) -> dict[str, str]:
    line = {
        "status": "failed" if row.failed and not row.n else "missing" if not row.n else "ok",
        "rank": "" if row.rank is None else str(row.rank),
        "n": str(row.n),
        "expected": str(table.expected),
        "failed": str(len(row.failed)),
    }
    for name, estimate in (*((name, row.scores.get(name)) for name in SCORES), ("delta", row.delta)):
        line[name] = _decimal(None if estimate is None else estimate.mean)
        line[f"{name}_sd"] = _decimal(None if estimate is None else estimate.sd)
        line[f"{name}_half95"] = _decimal(None if estimate is None else estimate.half)
    line["separated_from_baseline"] = "" if row.delta is None else "yes" if row.separated else "no"
    line |= {name: _whole(row.costs.get(name)) for name in COSTS}
    return line | {"notes": "; ".join(row.notes)}


def _decimal(value: float | None) -> str:
    return "" if value is None else f"{round(value, 6) + 0.0:.6f}"


def _whole(value: float | None) -> str:
    return "" if value is None or not math.isfinite(value) else str(round(value))
