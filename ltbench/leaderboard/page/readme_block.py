"""The generated lines of a README: tables between markers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ltbench.leaderboard.page.answer import answer_lines
from ltbench.leaderboard.page.claim_counts import count_claims
from ltbench.leaderboard.page.claim_size import NO_SIZE, WITHIN
from ltbench.leaderboard.page.claim_verdicts import FAILS, HOLDS, NOT_TESTED, OPEN, UNKNOWN, Verdict
from ltbench.leaderboard.statistics.record_groups import titles
from ltbench.leaderboard.tables.caption import caption
from ltbench.leaderboard.tables.cell_text import factor_text
from ltbench.leaderboard.tables.markdown import escape, plain_table, table_lines, unbroken
from ltbench.leaderboard.tables.table import Board

FOLD = 20
"""Rows that a README shows before the rest is folded."""
LISTED = 100
"""Most rows of a table that it has at all."""


def compact_block(
    boards: Sequence[Board], failures: Mapping[str, int], page: str, sentences: Sequence[str] = ()
) -> list[str]:
    """Return the README block of a suite: the answer, and of each board the table across factors or its only table.

    sentences: the answer of the page.
    """
    named = titles(boards) if len(boards) > 1 else [""] * len(boards)
    both = zip(boards, named, strict=True)
    return [
        "",
        *answer_lines(sentences),
        *(line for board, title in both for line in _compact(board, failures, page, title)),
    ]


def _compact(board: Board, failures: Mapping[str, int], page: str, title: str) -> Iterator[str]:
    table = board.main_table
    if title:
        yield from (f"**{escape(title)}**", "")
    yield from (*table_lines(table, failures, page=page, fold=FOLD, most=LISTED), "")
    yield from (f"{escape(caption(table))} [The whole leaderboard]({page}) has the rest.", "")


def claims_block(suites: Sequence[tuple[str, str, Sequence[Verdict]]]) -> list[str]:
    """Return the README block of the claims of reports: a line for each suite, and what does not hold.

    suites: name, path of the page, and the verdicts on all claims of a suite.
    """
    rows, failing = [], list[str]()
    for name, page, judged in suites:
        counts = count_claims(judged)
        numbers = [counts.directions[word] for word in (HOLDS, FAILS, OPEN)]
        numbers.append(counts.directions[NOT_TESTED] + counts.directions[UNKNOWN])
        sizes = sum(counts.sizes.values()) - counts.sizes[NO_SIZE]
        rows.append(
            [
                f"[{escape(name)}]({page})", str(counts.claims), str(counts.comparisons), *map(str, numbers),
                unbroken(f"{counts.sizes[WITHIN]} of {sizes}"),
            ]
        )  # fmt: skip
        failing += [f"- {escape(name)}: {text}" for text in _failing(judged)]
    head = [
        "suite", "claims", "comparisons", "holds", "does not hold", "undecided", "not tested", "size within interval",
    ]  # fmt: skip
    lines = ["", *plain_table(head, rows, right=range(1, len(head))), ""]
    return [*lines, *(["What does not hold:", "", *failing, ""] if failing else [])]


def _failing(judged: Sequence[Verdict]) -> Iterator[str]:
    """Yield each claim that does not hold, with the imbalance factors."""
    where: dict[str, list[str]] = {}
    for one in judged:
        if one.direction == FAILS and not one.repeated:
            factor = "the mean over the factors" if one.factor is None else f"factor {factor_text(one.factor)}"
            where.setdefault(one.claim.text, []).append(f"{factor}, {one.where}" if one.where else factor)
    yield from (f"{escape(text)} ({escape('; '.join(places))})" for text, places in where.items())
