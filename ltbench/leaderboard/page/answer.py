"""The answer of a leaderboard in at most five sentences: what helps, what hurts, what differs in nothing, how sure it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import msgspec

from ltbench.leaderboard.page.claim_counts import count_claims
from ltbench.leaderboard.page.claim_verdicts import FAILS, HOLDS, OPEN, Verdict
from ltbench.leaderboard.statistics.analysis import Analysis
from ltbench.leaderboard.statistics.record_groups import titles
from ltbench.leaderboard.tables.cell_text import factor_text, number_text, reference_text, signed
from ltbench.leaderboard.tables.markdown import escape
from ltbench.leaderboard.tables.rows import Row
from ltbench.leaderboard.tables.short_labels import shortened
from ltbench.leaderboard.tables.table import Board, Table

MOST = 5
"""Sentences of an answer."""
_NAMED = 3
"""Techniques that a sentence names."""


class _Change(msgspec.Struct, frozen=True, kw_only=True):
    """What a technique, or a row, changes relative to its absence or to the reference."""

    name: str
    mean: float
    interval: tuple[float, float] | None
    significant: bool
    at: dict[float, tuple[float, bool]]
    """By imbalance factor: the change there, and whether it is significant."""


def answer(boards: Sequence[Board], analyses: Sequence[Analysis], judged: Sequence[Verdict] = ()) -> list[str]:
    """Return the answer of a page as plain sentences; none without a number.

    boards, analyses: as `make_boards` and `analyse` return them; judged: the verdicts on the claims of a report.
    """
    ranked = [
        (board, analysis, title)
        for board, analysis, title in zip(boards, analyses, titles(boards), strict=True)
        if any(row.rank is not None for row in main_table(board).rows)
    ]
    if not ranked:
        return []
    if len(ranked) == 1:
        sentences = [shortened(sentence, main_table(ranked[0][0])) for sentence in _one_board(*ranked[0][:2])]
    else:
        named = ranked[: MOST - 2] if len(ranked) > MOST - 1 else ranked
        sentences = [
            f"{title}: {shortened(_best(table, short=True), table)}"
            for table, title in ((main_table(board), title) for board, _, title in named)
        ]
        if len(named) < len(ranked):
            sentences.append(f"The other {len(ranked) - len(named)} boards are below.")
        sentences.append(_how_sure(main_table(ranked[0][0])))
    claims = _claims(judged)
    if not claims:
        return sentences
    # The last sentence says how sure the others are.
    return [*sentences[:-1][: MOST - 2], claims, sentences[-1]]


def answer_lines(sentences: Sequence[str]) -> list[str]:
    """Return an answer as lines of markdown."""
    return [*(f"- {escape(sentence)}" for sentence in sentences), ""] if sentences else []


def main_table(board: Board) -> Table:
    """Return the table that an answer is about: across factors, or that of the only factor."""
    return board.across or board.tables[0]


def _one_board(board: Board, analysis: Analysis) -> Iterator[str]:
    table = main_table(board)
    rows = [row for row in table.rows if row.rank is not None]
    if len(rows) == 1:
        yield f"{_start(rows[0].label)} is the only row with a number: {_score(rows[0], table)}."
        return
    if not any(row.delta is not None and row.delta.interval for row in rows) and not _tested(rows):
        yield f"The best row is {_best(table, short=True)}"
        yield f"{_why_no_test(rows)} no difference can be tested, so the order may be chance."
        return
    changes = _effects(analysis, table) if analysis.has_averages else _deltas(board, table)
    over = "" if analysis.has_averages else f" over {reference_text(table.reference)}"
    helps = [one for one in changes if one.significant and table.ranking.sign * one.mean > 0]
    hurts = [one for one in changes if one.significant and table.ranking.sign * one.mean < 0]
    rest = [one for one in changes if not one.significant]
    if helps:
        yield _sentence(helps, "helps", "help", table, board, over)
    if hurts:
        yield _sentence(hurts, "hurts", "hurt", table, board, over)
    if changes and not helps and not hurts:
        if analysis.has_averages:
            yield f"No technique has a significant effect on {table.ranking.words}."
        else:
            yield f"No row differs significantly from {reference_text(table.reference)} in {table.ranking.words}."
    elif rest:
        yield _no_difference(rest)
    yield f"The best row is {_best(table)}"
    yield _how_sure(table)


def _tested(rows: Sequence[Row]) -> bool:
    return any(row.to_best is not None and row.to_best.interval for row in rows)


def _why_no_test(rows: Sequence[Row]) -> str:
    common = max((row.to_best.n for row in rows if row.to_best is not None), default=0)
    if common > 1:
        return "As differences are the same with every pair of seeds,"
    return "With one pair of seeds" if common else "Without a pair of seeds in common"


def _effects(analysis: Analysis, table: Table) -> list[_Change]:
    """Return the main effects, largest first."""
    found: dict[str, dict[float | None, tuple[float, bool]]] = {}
    intervals = {}
    for effect in analysis.effects:
        (name,) = effect.techniques
        found.setdefault(name, {})[effect.factor] = effect.mean, effect.separated
        if effect.factor == analysis.factor and effect.low is not None and effect.high is not None:
            intervals[name] = effect.low, effect.high
    changes = [
        _Change(
            name=name, mean=by_factor[analysis.factor][0], interval=intervals.get(name),
            significant=by_factor[analysis.factor][1],
            at={factor: value for factor, value in by_factor.items() if factor is not None},
        )
        for name, by_factor in found.items()
        if analysis.factor in by_factor
    ]  # fmt: skip
    return sorted(changes, key=lambda one: -table.ranking.sign * one.mean)


def _deltas(board: Board, table: Table) -> list[_Change]:
    """Return the differences of rows to the reference, best first."""
    at: dict[str, dict[float, tuple[float, bool]]] = {}
    for one in board.tables:
        for row in one.rows:
            if row.delta is not None and one.factor is not None:
                at.setdefault(row.label, {})[one.factor] = row.delta.mean, row.separated
    return [
        _Change(
            name=row.label, mean=row.delta.mean, interval=row.delta.interval, significant=row.separated,
            at=at.get(row.label, {}),
        )
        for row in table.rows
        if row.delta is not None
    ]  # fmt: skip


def _sentence(changes: Sequence[_Change], one: str, several: str, table: Table, board: Board, over: str) -> str:
    words = f" points of {table.ranking.words}"
    shown = sorted(changes, key=lambda change: -abs(change.mean))
    parts = [_part(change, words if not number else "", board) for number, change in enumerate(shown[:_NAMED])]
    more = len(changes) - _NAMED
    rest = f", and {more} more {'row' if over else 'technique'}{'s' * (more > 1)}" if more > 0 else ""
    names = _joined([change.name for change in shown[:_NAMED]])
    average = "" if over else ", averaged over all combinations of the others"
    if len(changes) == 1:
        return f"{_start(names)} {one}: {parts[0]}{over}{average}."
    listed = "; ".join(f"{change.name} {part}" for change, part in zip(shown, parts, strict=False))
    return f"{len(changes)} {'rows' if over else 'techniques'} {several}{over}{average}: {listed}{rest}."


def _part(change: _Change, words: str, board: Board) -> str:
    low, high = change.interval or (change.mean, change.mean)
    text = signed
    if "0.0" in (signed(low), signed(high)):
        # An end that is not zero is not written as one.
        text = _finer
    return f"{text(change.mean)}{words} (95 % CI {text(low)} to {text(high)}){_from_when(change, board)}"


def _finer(fraction: float) -> str:
    return f"{100 * fraction:+.2f}".replace("-", "−")


def _from_when(change: _Change, board: Board) -> str:
    """Return at which imbalance factors a change is significant: everywhere, from one on, or at some."""
    factors = [table.factor for table in board.tables if table.factor is not None]
    if len(factors) < 2:
        return ""
    same = [factor for factor in factors if _agrees(change, factor)]
    if not same:
        return ", significant at no single imbalance factor"
    if same == factors:
        return ", significant at every imbalance factor"
    if len(same) == 1:
        return f", significant only at imbalance factor {factor_text(same[0])}"
    if same == factors[len(factors) - len(same) :]:
        return f", significant from imbalance factor {factor_text(same[0])} on"
    return f", significant at imbalance factors {_joined([factor_text(factor) for factor in same])}"


def _agrees(change: _Change, factor: float) -> bool:
    mean, significant = change.at.get(factor, (0.0, False))
    return significant and (mean > 0) == (change.mean > 0)


def _no_difference(changes: Sequence[_Change]) -> str:
    names = _joined([change.name for change in changes[:_NAMED]])
    more = len(changes) - _NAMED
    if more > 0:
        names = f"{', '.join(change.name for change in changes[:_NAMED])} and {more} more"
    make = "makes" if len(changes) == 1 else "make"
    ends = [end for change in changes if change.interval for end in change.interval]
    which = "interval" if len(changes) == 1 else "all intervals within"
    most = f" ({which} {signed(min(ends))} to {signed(max(ends))} points)" if ends else ""
    return f"{_start(names)} {make} no significant difference{most}."


def _best(table: Table, *, short: bool = False) -> str:
    rows = [row for row in table.rows if row.rank is not None]
    best = next(row for row in rows if row.is_best)
    delta = ""
    # Its mean may be below that of others, which it is better than in the runs that it has.
    lacking = f" over {best.n} of {table.expected} pairs of seeds" if best.n < max(row.n for row in rows) else ""
    if best.delta is not None and best.label != table.reference:
        delta = f", {signed(best.delta.mean)} points over {reference_text(table.reference)}"
    name = "the baseline" if best.label == "baseline" else best.label
    text = f"{name} with {_score(best, table)}{lacking}{delta}"
    same = sum(row.like_best for row in rows) - 1
    if not _tested(rows):
        return f"{text}."
    if not same:
        return f"{text}, significantly better than every other row."
    others = "any other row" if same == len(rows) - 1 else f"{same} of the {len(rows) - 1} other rows"
    return (
        f"{text}; it does not differ significantly from {others}."
        if short
        else (f"{text}, and does not differ significantly from {others}.")
    )


def _score(row: Row, table: Table) -> str:
    estimate = row.scores[table.ranking.name]
    assert estimate is not None
    column: Callable[[float], str] = lambda value: number_text(value, table.ranking.column.unit)  # noqa: E731
    return f"{column(estimate.mean)} % {table.ranking.words}"


def _how_sure(table: Table) -> str:
    rows = [row for row in table.rows if row.rank is not None]
    runs = {row.n for row in rows}
    many = f"{max(runs)}" if len(runs) == 1 else f"{min(runs)} to {max(runs)}"
    seeds = f"{many} pair{'s' * (max(runs) > 1)} of seeds"
    halves = sorted(
        one.half for row in rows for one in (row.delta, row.to_best) if one is not None and one.half is not None
    )
    if not halves:
        return f"Each row has {seeds}, so no difference can be tested."
    least = number_text(halves[len(halves) // 2], table.ranking.column.unit)
    place = "of the mean over the factors " if table.factor is None else ""
    return f"Each row has {seeds}: differences {place}below about {least} points are not significant (simultaneous 95 % intervals)."


def _claims(judged: Sequence[Verdict]) -> str:
    """Return how many comparisons that a report claims hold."""
    if not judged:
        return ""
    counts = count_claims(judged)
    found = {word: counts.directions[word] for word in (HOLDS, FAILS, OPEN)}
    tested = sum(found.values())
    if not tested:
        return ""
    return (
        f"Of {tested} comparison{'s' * (tested > 1)} that the report claims, {found[HOLDS]} hold{'s' * (found[HOLDS] == 1)}, "
        f"{found[FAILS]} do{'es' * (found[FAILS] == 1)} not, and {found[OPEN]} {'is' if found[OPEN] == 1 else 'are'} undecided."
    )


def _joined(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _start(text: str) -> str:
    """Return text at the start of a sentence; names of techniques keep their case."""
    return "The baseline" if text == "baseline" else text
