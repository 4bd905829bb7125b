"""The generated lines of a README: tables between markers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ltbench.leaderboard.page.claim_counts import count_claims
from ltbench.leaderboard.page.claim_size import LARGER, NO_SIZE, OPPOSITE, SMALLER, WITHIN
from ltbench.leaderboard.page.claim_verdicts import FAILS, HOLDS, NOT_TESTED, OPEN, UNKNOWN, Verdict
from ltbench.leaderboard.statistics.record_groups import titles
from ltbench.leaderboard.tables.cell_text import factor_text, place_text, reference_text
from ltbench.leaderboard.tables.markdown import escape, plain_table, table_lines
from ltbench.leaderboard.tables.table import Board

FOLD = 20
"""Rows that a README shows before the rest is folded."""


def compact_block(boards: Sequence[Board], failures: Mapping[str, int], page: str) -> list[str]:
    """Return the README block of a suite: of each board the table across factors, or its only table."""
    named = titles(boards) if len(boards) > 1 else [""] * len(boards)
    both = zip(boards, named, strict=True)
    return ["", *(line for board, title in both for line in _compact(board, failures, page, title))]


def _compact(board: Board, failures: Mapping[str, int], page: str, title: str) -> Iterator[str]:
    table = board.across or board.tables[0]
    if title:
        yield from (f"**{escape(title)}**", "")
    yield from (*table_lines(table, failures, page=page, fold=FOLD), "")
    what = "at each imbalance factor (IF)" if table.factor is None else f"at {place_text(table.factor, table.data)}"
    yield (
        f"{escape(table.ranking.column.full_title)} in % {what}, mean ± 95 % interval over n runs; Δ is the difference to "
        f"{escape(reference_text(table.reference))}, `*` where it is significant; # is the rank, one plus the rows that are "
        f"significantly better; `≈` marks rows that may be the best. [The whole leaderboard]({page}) explains the columns and "
        f"has the rest."
    )
    yield ""


def claims_block(suites: Sequence[tuple[str, str, Sequence[Verdict]]]) -> list[str]:
    """Return the README block of the claims of reports: a line for each suite, and what does not hold.

    suites: name, path of the page, and the verdicts on all claims of a suite.
    """
    rows, failing = [], list[str]()
    for name, page, judged in suites:
        counts = count_claims(judged)
        ways = (HOLDS, FAILS, OPEN, NOT_TESTED, UNKNOWN), (WITHIN, SMALLER, LARGER, OPPOSITE, NO_SIZE)
        numbers = [counts.directions[word] for word in ways[0]] + [counts.sizes[word] for word in ways[1]]
        rows.append([f"[{escape(name)}]({page})", str(counts.claims), str(counts.comparisons), *map(str, numbers)])
        failing += [f"- {escape(name)}: {text}" for text in _failing(judged)]
    head = [
        "suite", "claims", "comparisons", "holds", "does not hold", "undecided", "not tested", "not measured",
        "size: within", "smaller", "larger", "opposite", "no size",
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
