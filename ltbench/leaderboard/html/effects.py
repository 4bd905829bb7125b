"""Main effects and interactions, as the heat map shows them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ltbench.leaderboard.statistics.effects import Effect, interactions, main_effects
from ltbench.records.record import Record


class ReportEffect(msgspec.Struct, frozen=True, kw_only=True):
    """A main effect or an interaction, in percentage points."""

    techniques: list[str]
    factor: float | None
    """None for all imbalance factors together."""
    mean: float
    low: float | None
    high: float | None
    n: int
    contexts: int
    """Combinations of other techniques that it averages over."""


def effects(records: Sequence[Record]) -> list[ReportEffect]:
    """Return the main effects and the interactions of comparable records."""
    return [_shown(one) for one in (*main_effects(records), *interactions(records))]


def _shown(effect: Effect) -> ReportEffect:
    return ReportEffect(
        techniques=list(effect.techniques),
        factor=effect.factor,
        mean=_points(effect.mean),
        low=None if effect.low is None else _points(effect.low),
        high=None if effect.high is None else _points(effect.high),
        n=effect.n,
        contexts=effect.contexts,
    )


def _points(fraction: float) -> float:
    return round(100 * fraction, 3) + 0.0
