"""The answer of a leaderboard in at most five sentences: what helps, what hurts, what differs in nothing, how sure it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate

from ltbench.columns import Unit
from ltbench.core.row_labels import BASELINE
from ltbench.leaderboard.page.answer_changes import (
    Change,
    at_factors,
    differences,
    effects,
    joined,
    range_text,
    size_text,
)
from ltbench.leaderboard.page.best_row import (
    against_others,
    best_and_delta,
    best_of_several,
    best_row_is,
    has_tests,
    only_row,
    ranked_rows,
)
from ltbench.leaderboard.page.claim_counts import claims_sentence
from ltbench.leaderboard.page.claim_verdicts import Verdict
from ltbench.leaderboard.statistics.analysis import Analysis
from ltbench.leaderboard.statistics.record_groups import titles
from ltbench.leaderboard.tables.cell_text import number_text, points, reference_text, signed
from ltbench.leaderboard.tables.markdown import escape
from ltbench.leaderboard.tables.rows import Row
from ltbench.leaderboard.tables.short_labels import shortened
from ltbench.leaderboard.tables.table import Board, Table

NO_BREAK = "\u00a0"
MOST = 5
"""Sentences of an answer."""
_NAMED = 3
"""Techniques that a sentence names."""
_LONGEST = 120
"""Characters of these names together; the first one is named however long it is."""
_NUMBERS = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten")


def answer(boards: Sequence[Board], analyses: Sequence[Analysis], judged: Sequence[Verdict] = ()) -> list[str]:
    """Return the answer of a page as plain sentences; none without records.

    boards, analyses: as `make_boards` and `analyse` return them; judged: the verdicts on the claims of a report.
    """
    ranked = [
        (board, analysis, title)
        for board, analysis, title in zip(boards, analyses, titles(boards), strict=True)
        if ranked_rows(board.main_table)
    ]
    if not ranked:
        where = " at every imbalance factor" if all(board.across for board in boards) else ""
        return [f"No combination has a number{where} yet."] if boards else []
    if len(ranked) == 1:
        sentences = [shortened(sentence, ranked[0][0].main_table) for sentence in _one_board(*ranked[0][:2])]
    else:
        named = ranked[: MOST - 2] if len(ranked) > MOST - 1 else ranked
        sentences = [
            f"{title}: {best_of_several(table)}"
            for table, title in ((board.main_table, title) for board, _, title in named)
        ]
        if len(named) < len(ranked):
            sentences.append(f"The other {len(ranked) - len(named)} boards are below.")
        sentences.append(_how_sure([board.main_table for board, *_ in ranked]))
    claims = claims_sentence(judged)
    if not claims:
        return sentences
    # The last sentence says how sure the others are.
    return [*sentences[:-1][: MOST - 2], claims, sentences[-1]]


def answer_lines(sentences: Sequence[str]) -> list[str]:
    """Return an answer as lines of markdown, in which a number keeps its unit on a narrow screen."""
    return [*(f"- {escape(sentence).replace(' %', f'{NO_BREAK}%')}" for sentence in sentences), ""] if sentences else []


def _one_board(board: Board, analysis: Analysis) -> Iterator[str]:
    table = board.main_table
    rows = ranked_rows(table)
    if len(rows) == 1:
        yield _start(only_row(rows[0], table))
        return
    if not has_tests(rows):
        if analysis.screen is not None and any(effect.p is not None for effect in analysis.effects):
            yield from _changes(effects(analysis, table), board, _averaged(analysis))
            yield f"The {best_row_is(table)} {best_and_delta(table)}."
            yield "With one pair of seeds single rows cannot be compared, so their order may be chance."
            return
        yield f"The {best_row_is(table)} {best_and_delta(table)}."
        yield _untested(rows)
        return
    if analysis.has_averages:
        yield from _changes(effects(analysis, table), board, _averaged(analysis))
    else:
        yield from _changes(differences(board, table), board, "")
    yield f"The {best_row_is(table)} {best_and_delta(table)}{against_others(table)}."
    yield _how_sure([table])


def _averaged(analysis: Analysis) -> str:
    """Return over what the effects of a board are averages."""
    if analysis.screen is not None:
        return ", estimated by least squares from a screening design"
    contexts = [effect.contexts for effect in analysis.effects]
    if not any(contexts):
        return ", estimated by least squares without interactions"
    return f", averaged over the combinations run with and without it{'' if all(contexts) else ' or by least squares'}"


def _changes(changes: Sequence[Change], board: Board, averaged: str) -> Iterator[str]:
    """Yield what helps, what hurts, and what does neither.

    changes: of techniques, or of rows if `averaged`, over what they are averages, is empty.
    """
    table = board.main_table
    sign = table.ranking.sign
    tested = [one for one in changes if one.interval is not None]
    helps = [one for one in tested if one.significant and sign * one.mean > 0]
    hurts = [one for one in tested if one.significant and sign * one.mean < 0]
    rest = [one for one in tested if not one.significant]
    reference = reference_text(table.reference)
    if helps:
        verbs = ("helps", "help") if averaged else _than("better", reference)
        yield _sentence(helps, verbs, board, averaged) + _but_alone(helps, board, "hurt", averaged)
    if hurts:
        verbs = ("hurts", "hurt") if averaged else _than("worse", reference)
        # Over what they are averages stands in the sentence before.
        yield _sentence(hurts, verbs, board, "" if helps else averaged) + _but_alone(hurts, board, "help", averaged)
    if not rest:
        return
    words, alone = table.ranking.words, False
    if helps or hurts:
        text, alone = _no_difference(rest, "" if averaged else reference, table.ranking.unit), len(rest) == 1
    elif averaged:
        text = f"No technique has a significant effect on {words}{averaged.replace('without it', 'without each')}"
    else:
        text = f"No row differs significantly from {reference} in {words}"
    verbs = ("helps", "hurts") if averaged else ("is better", "is worse")
    yield f"{text}{_at_single_factors(rest, board, verbs, alone=alone)}."


def _than(word: str, reference: str) -> tuple[str, str]:
    return f"is significantly {word} than {reference}", f"are significantly {word} than {reference}"


def _sentence(changes: Sequence[Change], verbs: tuple[str, str], board: Board, averaged: str) -> str:
    """Return which changes are significant in one direction, the largest with their sizes.

    verbs: for one and for several; averaged: as for `_changes`.
    """
    unit = board.main_table.ranking.unit
    words = f"{points(unit)} of {board.main_table.ranking.words}"
    shown, more = _named(sorted(changes, key=lambda change: -abs(change.mean)))
    first = size_text(shown[0], words, "95 % CI ", board, "imbalance factor")
    if len(changes) == 1:
        return f"{_start(shown[0].name)} {verbs[0]}{averaged}: {first}."
    parts = [first, *(size_text(one, "", "", board, "factor") for one in shown[1:])]
    listed = "; ".join(f"{change.name} {part}" for change, part in zip(shown, parts, strict=True))
    many = _NUMBERS[len(changes)] if len(changes) < len(_NUMBERS) else str(len(changes))
    what = "techniques" if verbs[1] in ("help", "hurt") else "rows"
    averaged = averaged.replace("without it", "without each")
    return f"{many} {what} {verbs[1]}{averaged}: {listed}{f'; and {more} more' if more else ''}."


def _but_alone(changes: Sequence[Change], board: Board, verb: str, averaged: str) -> str:
    """Return which techniques do the opposite in the row that has nothing else, as a further sentence; empty for none.

    Averages over combinations say little of a technique that the others make needless: two corrections of the class prior
    are one too many, so each of them hurts on average, and may be the best technique alone.
    """
    table = board.main_table
    if not averaged or table.reference != BASELINE:
        return ""
    alone = {row.name: row for row in differences(board, table) if row.significant}
    found = [alone[one.name] for one in changes if one.name in alone and alone[one.name].mean * one.mean < 0]
    if not found:
        return ""
    shown, more = _named(sorted(found, key=lambda change: -abs(change.mean)))
    unit = table.ranking.unit
    sizes = [
        f"{change.name} {signed(change.mean, unit)}{'' if place else points(unit)}"
        for place, change in enumerate(shown)
    ]
    many = "it" if len(changes) == 1 else f"{len(found)} of them" if len(found) < len(changes) else "all of them"
    verb = f"{verb}s" if len(found) == 1 else verb
    listed = joined([*sizes, *([f"{more} more"] if more else [])])
    return f" But without others, {many} {verb}: {listed}."


def _no_difference(changes: Sequence[Change], reference: str, unit: Unit) -> str:
    """Return which changes are not significant. reference: what rows are compared with; empty for techniques."""
    shown, more = _named(changes)
    names = joined([*(change.name for change in shown), *([f"{more} more"] if more else [])])
    ends = [end for change in changes if change.interval for end in change.interval]
    one = len(changes) == 1
    if reference:
        text = f"{'does' if one else 'do'} not differ significantly from {reference}"
    else:
        text = f"{'makes' if one else 'make'} no significant difference"
    which = "95 % CI" if one else "all intervals within"
    return f"{_start(names)} {text} ({which} {range_text(min(ends), max(ends), unit)}{points(unit)})"


def _at_single_factors(changes: Sequence[Change], board: Board, verbs: tuple[str, str], *, alone: bool) -> str:
    """Return which of the changes that are not significant over all factors are so at some, in a clause.

    verbs: for what is good, and for what is not; alone: whether the only change is the subject of the sentence.
    """
    if board.across is None:
        return ""
    sign = board.main_table.ranking.sign
    found = []
    for change in changes:
        both = zip(verbs, (change.significant_at(sign), change.significant_at(-sign)), strict=True)
        places = [f"{verb} {at_factors(factors, board)}" for verb, factors in both if factors]
        found += [f"{'' if alone else f'{change.name} '}{' and '.join(places)}"] if places else []
    if len(found) > _NAMED:
        return f", but {len(found)} do at some imbalance factor"
    return f", but {'; '.join(found)}" if found else ""


def _named(changes: Sequence[Change]) -> tuple[Sequence[Change], int]:
    """Return the changes that a sentence names, and how many more there are."""
    lengths = accumulate(len(change.name) for change in changes[:_NAMED])
    many = max(1, sum(length <= _LONGEST for length in lengths))
    return changes[:many], len(changes) - many


def _untested(rows: Sequence[Row]) -> str:
    common = max((row.to_best.n for row in rows if row.to_best is not None), default=0)
    if common > 1:
        why = "As differences are the same with every pair of seeds,"
    else:
        why = "With one pair of seeds" if common else "Without a pair of seeds in common"
    return f"{why} no difference can be tested, so the order may be chance."


def _how_sure(tables: Sequence[Table]) -> str:
    """Return the number of runs, and which differences are not significant."""
    runs = {row.n for table in tables for row in ranked_rows(table)}
    many = f"{max(runs)} pair{'s' * (max(runs) > 1)} of seeds"
    between = "or" if max(runs) - min(runs) == 1 else "to"
    seeds = f"Each row has {many}" if len(runs) == 1 else f"Rows have {min(runs)} {between} {many}"
    found = [halves for table in tables if (halves := _halves(table))]
    if not found:
        return f"{seeds}: no difference can be tested."
    own = len(tables) == 1 and tables[0].form == "each pair"
    middle = found[0] if own else sorted(halves[len(halves) // 2] for halves in found)
    unit = tables[0].ranking.unit
    low, high = number_text(middle[0], unit), number_text(middle[-1], unit)
    below = f"about {high}" if low == high else f"about {low} to {high}"
    shared, kind = number_text(min(found[0]), unit), "simultaneous 95 % intervals"
    if all(table.factor is None for table in tables):
        kind += " of the mean over factors"
    if len(tables) == 1 and tables[0].form == "by kind" and shared != high:
        kind = f"down to {shared} where they share a training; {kind}"
    elif low != high:
        kind = f"by {'pair of rows' if own else 'board'}; {kind}"
    return f"{seeds}: differences between rows of less than {below}{points(unit)} are not significant ({kind})."


def _halves(table: Table) -> list[float]:
    """Return half the widths of the intervals of differences, narrowest first; not of those that follow from others."""
    both = [
        one
        for row in ranked_rows(table)
        for one in (row.delta, row.to_best)
        if one is not None and one.half is not None
    ]
    return sorted(one.half for one in ([one for one in both if one.ends is None] or both) if one.half is not None)


def _start(text: str) -> str:
    """Return text at the start of a sentence; names of techniques keep their case."""
    return f"T{text[1:]}" if text.startswith("the baseline ") or text == "the baseline" else text
