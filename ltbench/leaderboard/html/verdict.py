"""The best row of a table and whether it is significantly better: the sentences above the table."""

from __future__ import annotations

import msgspec

from ltbench.leaderboard.tables.cell_text import delta_text, half_text, percent, reference_text
from ltbench.leaderboard.tables.rows import Row
from ltbench.leaderboard.tables.table import Table


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The best row, and whether it differs significantly from others and from the reference."""

    best: str = ""
    """Its techniques; empty where no row has a number."""
    score: str = ""
    interval: str = ""
    delta: str = ""
    """Its difference to the reference."""
    runs: str = ""
    clear: bool = False
    """Whether the best differs significantly from every other row."""
    others: str
    reference: str = ""
    """Whether it differs significantly from the reference."""


def verdict(table: Table) -> Verdict:
    """Return the verdict on a table, from its ranks and tests."""
    ranked = [row for row in table.rows if row.rank is not None]
    if not ranked:
        return Verdict(others="No combination has a number here yet.")
    best = ranked[0]
    estimate = best.scores[table.ranking.name]
    assert estimate is not None
    return Verdict(
        best=best.label,
        score=percent(estimate.mean),
        interval=half_text(estimate).strip(),
        delta=delta_text(best).removesuffix(" *"),
        runs=f"{best.n} run" if best.n == 1 else f"{best.n} runs",
        clear=len(ranked) > 1 and sum(row.like_best for row in ranked) == 1,
        others=_others(ranked),
        reference=_reference(best, table),
    )


def _others(ranked: list[Row]) -> str:
    if len(ranked) == 1:
        return "It is the only combination with a number, so nothing can be compared."
    if max(row.n for row in ranked) < 2:
        return "Each combination has one run: differences cannot be tested, and the order may be chance."
    same = sum(row.like_best for row in ranked) - 1
    if not same:
        return "It differs significantly from every other combination."
    if same == len(ranked) - 1:
        which = "the other combination" if same == 1 else f"any of the other {same} combinations"
        return f"It does not differ significantly from {which}: with so few runs, the order may be chance."
    return f"It does not differ significantly from {same} of the {len(ranked) - 1} others."


def _reference(best: Row, table: Table) -> str:
    reference = reference_text(table.reference)
    if best.label == table.reference:
        return f"It is {reference} itself."
    if not any(row.label == table.reference for row in table.rows):
        return f"The table does not have {reference}, to compare it with."
    if best.delta is None:
        return f"It has no run in common with {reference}."
    if best.separated:
        return f"It differs significantly from {reference}."
    return f"It does not differ significantly from {reference}, corrected for the number of combinations."
