"""The section on a search: what was run, what was not, and why. What was never run has no row and no rank."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from ltbench.columns import Column
from ltbench.core.row_labels import BASELINE
from ltbench.core.units import big_number
from ltbench.core.words import counted
from ltbench.leaderboard.statistics.ranking import words_of
from ltbench.leaderboard.tables.markdown import details, escape, plain_table
from ltbench.records.search_file import Searched

LISTED = 200
"""Combinations without a row that are written out."""


def search_notice(searched: Searched | None) -> list[str]:
    """Return what a reader of the answer has to know first; nothing for a page that is not of a search."""
    if searched is None:
        return []
    run = sum(row.cells > 0 for row in searched.rows)
    notice = (
        f"A search ran {searched.cells:,} of {counted(searched.all_cells, 'cell')}, and {run:,} of "
        f"{counted(len(searched.rows), 'combination')}."
    )
    if run < len(searched.rows):
        notice += " Those that were never run have no row and no rank."
    if searched.beyond:
        notice += f" {big_number(searched.beyond)} others of the suite were not searched."
    images = "held-out" if searched.on == "held_out" else "test"
    best = [row for row in searched.rows if row.is_best]
    several = len({row.board for row in searched.rows}) > 1
    found = "; ".join(f"{_named(row.combination)}{f' on {row.board}' * several}" for row in best)
    return [f"{notice} By {images} images it recommends {found}." if found else notice]


def search_lines(searched: Searched | None, columns: Iterable[Column] = ()) -> list[str]:
    """Return the section; nothing for a page that is not of a search. columns: of the page."""
    if searched is None:
        return []
    states = Counter(row.state for row in searched.rows)
    share = 100 * searched.cells / searched.all_cells if searched.all_cells else 100.0
    images = (
        "held-out images, never on test images"
        if searched.on == "held_out"
        else ("test images, so the numbers of the best rows are too good")
    )
    lines = [
        "## Search",
        "",
        (
            f"In {counted(searched.rounds, 'round')}, {searched.cells:,} of {counted(searched.all_cells, 'cell')} ({share:.1f} %) were run, for "
            f"{big_number(searched.passes)} forward passes of an image. Rows were compared by {words_of(searched.metric, columns)} on {images}. "
            f"{searched.ended}"
        ),
        "",
        f"Of {counted(len(searched.rows), 'combination')}, "
        + ", ".join(f"{number:,} {state}" for state, number in sorted(states.items()))
        + ".",
        "",
    ]
    lines += [searched.halves, ""] if searched.halves else []
    several = len({row.board for row in searched.rows}) > 1
    for title, picked in (
        ("never run", [row for row in searched.rows if row.state == "never run"]),
        ("run and not in the lead", [row for row in searched.rows if row.state not in {"never run", "in the lead"}]),
    ):
        if picked:
            head = [
                *(["data and model"] if several else []),
                "combination",
                *([] if title == "never run" else ["cells"]),
                "why",
            ]
            table = [
                [
                    *([escape(row.board)] if several else []), escape(row.combination), *([] if title == "never run" else [str(row.cells)]),
                    escape(row.why),
                ]
                for row in picked[:LISTED]
            ]  # fmt: skip
            more = [f"- and {len(picked) - LISTED:,} more in `search.json`"] if len(picked) > LISTED else []
            lines += [
                *details(f"{counted(len(picked), 'combination')} {title}", [*plain_table(head, table), *more]),
                "",
            ]
    return lines


def _named(combination: str) -> str:
    return "the baseline" if combination == BASELINE else combination
