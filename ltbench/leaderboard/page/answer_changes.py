"""What techniques or rows change, in words: by how much, and at which imbalance factors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from ltbench.columns import Unit
from ltbench.leaderboard.statistics.analysis import Analysis
from ltbench.leaderboard.tables.cell_text import (
    OWN_COUNTS,
    factor_text,
    number_text,
    place_text,
    reference_text,
    scale,
    signed,
)
from ltbench.leaderboard.tables.table import Board, Table

_LISTED = 3
"""Imbalance factors that a sentence lists."""
_ALIASES = 12
"""Most pairs that an effect is said to be aliased with."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What a technique, or a row, changes relative to its absence or to the reference."""

    name: str
    mean: float
    interval: tuple[float, float] | None
    """None where the change could not be tested."""
    significant: bool
    at: dict[float, tuple[float, bool]]
    """By imbalance factor: the change there, and whether it is significant."""

    def significant_at(self, sign: float) -> list[float]:
        """Return the factors, lowest first, at which there is a significant change of that sign."""
        return sorted(factor for factor, (mean, significant) in self.at.items() if significant and sign * mean > 0)


def effects(analysis: Analysis, table: Table) -> list[Change]:
    """Return the main effects of a board, best first."""
    found: dict[str, dict[float | None, tuple[float, bool]]] = {}
    intervals = {}
    for effect in analysis.effects:
        (name,) = effect.techniques
        found.setdefault(name, {})[effect.factor] = effect.mean, effect.separated
        if effect.factor == analysis.factor and effect.low is not None and effect.high is not None:
            intervals[name] = effect.low, effect.high
    changes = [
        Change(
            name=name, mean=by_factor[analysis.factor][0], interval=intervals.get(name),
            significant=by_factor[analysis.factor][1],
            at={factor: value for factor, value in by_factor.items() if factor is not None},
        )
        for name, by_factor in found.items()
        if analysis.factor in by_factor
    ]  # fmt: skip
    return sorted(changes, key=lambda one: -table.ranking.sign * one.mean)


def differences(board: Board, table: Table) -> list[Change]:
    """Return the differences of the rows of a table to its reference, best first."""
    at: dict[str, dict[float, tuple[float, bool]]] = {}
    for one in board.tables:
        for row in one.rows:
            if row.delta is not None and one.factor is not None:
                at.setdefault(row.label, {})[one.factor] = row.delta.mean, row.separated
    return [
        Change(
            name=reference_text(row.label), mean=row.delta.mean, interval=row.delta.interval, significant=row.separated,
            at=at.get(row.label, {}),
        )
        for row in table.rows
        if row.delta is not None
    ]  # fmt: skip


def size_text(change: Change, words: str, interval: str, board: Board, factor: str) -> str:
    """Return a change with its interval, and at which factors it is significant.

    words: of what, after the number; interval: the name of the interval; factor: the name of a factor.
    """
    unit = board.main_table.ranking.unit
    if change.interval is None:
        return f"{signed(change.mean, unit)}{words}"
    low, high = change.interval
    text = _digits(low, high, unit)
    return f"{text(change.mean)}{words} ({interval}{text(low)} to {text(high)}){_where(change, board, factor)}"


def range_text(low: float, high: float, unit: Unit = "percent") -> str:
    """Return an interval as ` −1.3 to +1.6`; an end that is not zero is not written as one."""
    text = _digits(low, high, unit)
    return f"{text(low)} to {text(high)}"


def at_factors(factors: Sequence[float], board: Board, name: str = "imbalance factor") -> str:
    """Return `at imbalance factor 100`, `at imbalance factors 10 and 50`, or how many if they are many."""
    if len(factors) > _LISTED:
        return f"at {len(factors)} of {len(board.tables)} {name}s"
    data = {table.factor: table.data for table in board.tables}
    if len(factors) == 1:
        own = place_text(factors[0], data.get(factors[0], {})) == OWN_COUNTS
        return f"at {OWN_COUNTS if own else f'{name} {factor_text(factors[0])}'}"
    return f"at {name}s {joined([factor_text(factor) for factor in factors])}"


def joined(names: Sequence[str]) -> str:
    """Return names as a list within a sentence: `a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def inseparable(names: Sequence[str]) -> str:
    """Return a sentence on techniques that have no effect of their own."""
    if len(names) == 1:
        return f"{names[0]} was not varied independently, so its effect cannot be estimated."
    return f"{joined(names)} were not varied independently, so their effects cannot be separated."


def aliased_text(pairs: Sequence[tuple[str, str]]) -> str:
    """Return what an effect is aliased with: pairs of techniques, the first few of many, or none."""
    named = [f"{one} × {two}" for one, two in pairs]
    if len(named) > _ALIASES:
        named = [*named[: _ALIASES - 1], f"{len(named) - _ALIASES + 1} other pairs"]
    return ", ".join(named) or "no interaction of two techniques"


def _digits(low: float, high: float, unit: Unit) -> Callable[[float], str]:
    rounded_away = any(end and not float(number_text(end, unit)) for end in (low, high))
    return partial(_finer if rounded_away else signed, unit=unit)


def _finer(difference: float, unit: Unit) -> str:
    return f"{scale(unit) * difference:+.{2 if unit == 'percent' else 4}f}".replace("-", "−")


def _where(change: Change, board: Board, name: str) -> str:
    """Return at which factors a change is significant, and at which it has the opposite sign."""
    factors = [table.factor for table in board.tables if table.factor is not None]
    if len(factors) < 2:
        return ""
    same, against = change.significant_at(change.mean), change.significant_at(-change.mean)
    if not same:
        text = f"significant at no single {name}"
    elif same == factors:
        text = f"significant at every {name}"
    elif len(same) == 1:
        text = f"significant only {at_factors(same, board, name)}"
    elif same == factors[-len(same) :]:
        text = f"significant from {name} {factor_text(same[0])} on"
    else:
        text = f"significant {at_factors(same, board, name)}"
    return f", {text}" + (f", significantly reversed {at_factors(against, board, name)}" if against else "")
