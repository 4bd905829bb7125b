"""What won, and whether that means anything: the two sentences at the head of a table."""

from __future__ import annotations

import msgspec

from ltbench.leaderboard.tables.cell_text import delta_text, half_text, percent
from ltbench.leaderboard.tables.table import Row, Table
from ltbench.stages import PRIMARY


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The best row, whether a test tells it from others and from the baseline."""

    best: str = ""
    """Its techniques; empty where no row has a number."""
    score: str = ""
    interval: str = ""
    delta: str = ""
    runs: str = ""
    clear: bool = False
    """Whether a test tells the best from every other row."""
    others: str
    baseline: str = ""


def verdict(table: Table) -> Verdict:
    """Return the verdict on a table, by the ranks and tests that the table has."""
    ranked = [row for row in table.rows if row.rank is not None]
    if not ranked:
        return Verdict(others="No combination has a number here yet.")
    best = ranked[0]
    estimate = best.scores[PRIMARY]
    assert estimate is not None
    return Verdict(
        best=best.label,
        score=percent(estimate.mean),
        interval=half_text(estimate).strip(),
        delta=delta_text(best).removesuffix(" *"),
        runs=f"{best.n} run" if best.n == 1 else f"{best.n} runs",
        clear=len(ranked) > 1 and sum(row.like_best for row in ranked) == 1,
        others=_others(ranked),
        baseline=_baseline(best, table),
    )


def _others(ranked: list[Row]) -> str:
    if len(ranked) == 1:
        return "It is the only combination with a number: there is nothing to compare it with."
    if max(row.n for row in ranked) < 2:
        return "There is one run of each combination: no test can tell them apart, and the order may be chance."
    same = sum(row.like_best for row in ranked) - 1
    if not same:
        return "A paired test tells it apart from every other combination."
    if same == len(ranked) - 1:
        which = "the other combination" if same == 1 else f"any of the other {same} combinations"
        return f"No paired test tells it apart from {which}: with this few runs, the order may be chance."
    return f"No paired test tells it apart from {same} of the {len(ranked) - 1} others."


def _baseline(best: Row, table: Table) -> str:
    if not best.techniques:
        return "It is the baseline itself."
    if not any(not row.techniques for row in table.rows):
        return "There is no baseline to compare it with."
    if best.delta is None:
        return "It has no run in common with the baseline."
    if best.separated:
        return "It is told apart from the baseline."
    return "It is not told apart from the baseline, once corrected for the number of combinations."
