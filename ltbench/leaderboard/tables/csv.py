"""Write all boards, factors and combinations, and the effects, as CSV; fractions with six decimals."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from ltbench.core.printable import printable
from ltbench.core.spec import canonical
from ltbench.leaderboard.statistics.analysis import Analysis
from ltbench.leaderboard.statistics.effects import Effect
from ltbench.leaderboard.statistics.record_groups import BoardFields
from ltbench.leaderboard.tables.columns import AREA
from ltbench.leaderboard.tables.rows import COSTS, Row
from ltbench.leaderboard.tables.table import Board, Table
from ltbench.stages import TECHNIQUE_STAGES
from ltbench.technique import written

_PLACE = ("protocol", "dataset", "profile", "model")


def table_csv(boards: Sequence[Board]) -> str:
    """Return all tables as CSV. The factor `all` is the table across factors; empty fields are undefined or missing."""
    lines = [line for board in boards for line in _lines(board)]
    return _csv(lines, [*_PLACE, "techniques"])


def _lines(board: Board) -> Iterator[dict[str, str]]:
    for table in board.all_tables:
        for row in table.rows:
            yield {
                **_place(board),
                "imbalance_factor": "all" if table.factor is None else written(table.factor),
                "techniques": row.label,
                **dict.fromkeys(TECHNIQUE_STAGES, ""),
                **dict(row.techniques),
                **_numbers(row, table),
            }


def effects_csv(analyses: Sequence[Analysis]) -> str:
    """Return main effects and interactions as CSV; the factor `all` is the mean over factors."""
    lines = [_place(one.group) | _effect(effect) for one in analyses for effect in (*one.effects, *one.pairs)]
    return _csv(lines, [*_PLACE, "technique"])


def _csv(lines: Sequence[dict[str, str]], without: list[str]) -> str:
    """Return lines as CSV; without lines, only the header `without`."""
    import pandas as pd

    columns = list(dict.fromkeys(name for line in lines for name in line)) if lines else without
    quoted = [{name: value if _is_number(value) else csv_text(value) for name, value in line.items()} for line in lines]
    return str(pd.DataFrame(quoted, columns=columns).to_csv(index=False, lineterminator="\n"))


def csv_text(text: str) -> str:
    """Return a text for a cell of a CSV file: without control characters, and none that a spreadsheet takes for a formula.

    >>> csv_text("=1+1"), csv_text("cb_sampler")
    ("'=1+1", 'cb_sampler')
    """
    text = printable(text, lines=False)
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _place(of: BoardFields) -> dict[str, str]:
    fixed = {
        "recipe": canonical(of.recipe).decode(),
        "fingerprint": str(of.fixed.get("data", {}).get("fingerprint", "")),
    }
    if "held_out" in of.fixed.get("data", {}):
        fixed["held_out"] = written(of.fixed["data"]["held_out"])
    return {name: getattr(of, name) for name in _PLACE} | fixed


def _effect(effect: Effect) -> dict[str, str]:
    first, second = (*effect.techniques, "")[:2]
    return {
        "kind": "interaction" if second else "main effect",
        "technique": first,
        "with": second,
        "imbalance_factor": "all" if effect.factor is None else written(effect.factor),
        "mean": _decimal(effect.mean),
        "low95": _decimal(effect.low),
        "high95": _decimal(effect.high),
        "n": str(effect.n),
        "contexts": str(effect.contexts),
        "differences": str(effect.cells),
        "p_corrected": _decimal(effect.p),
        "separated": "" if effect.p is None else "yes" if effect.separated else "no",
    }


def _numbers(row: Row, table: Table) -> dict[str, str]:
    line = {
        "status": "failed" if row.failed and not row.n else "missing" if not row.n else "ok",
        "rank": "" if row.rank is None else str(row.rank),
        "last_rank": "" if row.last_rank is None else str(row.last_rank),
        "n": str(row.n),
        "expected": str(table.expected),
        "failed": str(len(row.failed)),
    }
    names = [column.name for column in table.columns if not column.per_class]
    scores = ((name, row.scores.get(name)) for name in (*names, AREA))
    for name, estimate in (*scores, ("delta", row.delta), ("delta_best", row.to_best)):
        line[name] = _decimal(None if estimate is None else estimate.mean)
        line[f"{name}_sd"] = _decimal(None if estimate is None else estimate.sd)
        low, high = (None, None) if estimate is None or estimate.interval is None else estimate.interval
        line[f"{name}_low95"], line[f"{name}_high95"] = _decimal(low), _decimal(high)
    line["reference"] = table.reference
    line["separated_from_reference"] = "" if row.delta is None else "yes" if row.separated else "no"
    line["p_reference"], line["effect_reference"] = _decimal(row.p), _decimal(row.effect)
    line["like_best"] = "" if row.rank is None else "yes" if row.like_best else "no"
    line["p_best"], line["effect_best"] = _decimal(row.p_best), _decimal(row.effect_best)
    line |= {name: _whole(row.costs.get(name)) for name in COSTS}
    return line | {"notes": "; ".join(row.notes)}


def _decimal(value: float | None) -> str:
    # Adding zero turns -0.0 into 0.0.
    return "" if value is None else f"{round(value, 6) + 0.0:.6f}"


def _whole(value: float | None) -> str:
    return "" if value is None or not math.isfinite(value) else str(round(value))
