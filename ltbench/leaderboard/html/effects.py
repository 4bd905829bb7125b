"""Main effects and interactions, with the marks and intervals of the page."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ltbench.columns import Unit
from ltbench.leaderboard.html.tables import number
from ltbench.leaderboard.page.answer_changes import aliased_text, range_text
from ltbench.leaderboard.statistics.effects import Effect
from ltbench.leaderboard.tables.cell_text import signed


class ReportEffect(msgspec.Struct, frozen=True, kw_only=True):
    """A main effect, or the interaction of two techniques."""

    techniques: tuple[str, ...]
    factor: float | None
    mean: float | int | None
    """In percentage points, or the unit of the score, to sort and colour by."""
    text: str
    """The same as text, `*` where it is significant."""
    interval: str
    sure: bool
    """Whether it is significant."""
    n: int
    over: str
    """What it is averaged over, or else how it is estimated."""


def effects(found: Sequence[Effect], unit: Unit) -> list[ReportEffect]:
    """Return main effects and interactions as the report shows them."""
    return [
        ReportEffect(
            techniques=one.techniques, factor=one.factor, mean=number(one.mean, unit),
            text=signed(one.mean, unit) + " *" * one.separated,
            interval=_interval(one, unit),
            sure=one.separated, n=one.n, over=_over(one),
        )
        for one in found
    ]  # fmt: skip


def _interval(effect: Effect, unit: Unit) -> str:
    return "no test" if effect.low is None or effect.high is None else range_text(effect.low, effect.high, unit)


def _over(effect: Effect) -> str:
    if effect.aliased is None:
        return f"{effect.contexts} combination{'s' * (effect.contexts != 1)}"
    return f"least squares, aliased with {aliased_text(effect.aliased)}"
