"""The caption of a table: what its numbers are, in a few sentences of plain text."""

from __future__ import annotations

from collections.abc import Iterator

from ltbench.leaderboard.tables.cell_text import columns, place_text, rank_text, reference_text
from ltbench.leaderboard.tables.short_labels import parameters_text
from ltbench.leaderboard.tables.table import Table


def caption(table: Table, *, page: bool = True) -> str:
    """Return the caption of a table: score, runs, difference, ranks, and what its labels leave out.

    page: whether the table has the columns of a page, of which the caption names what is hidden.
    """
    return " ".join(_sentences(table, page=page))


def short_caption(table: Table, first: Table) -> str:
    """Return the caption of a table below another one, without what the caption of `first` says."""
    parameters = parameters_text(table)
    more = (_adjusted(table), "" if parameters == parameters_text(first) else parameters)
    return " ".join([_numbers(table), *filter(None, more)])


def _numbers(table: Table) -> str:
    across = table.factor is None
    where = "at each imbalance factor (IF)" if across else f"at {place_text(table.factor or 1, table.data)}"
    title = table.ranking.column.full_title
    low = "" if table.ranking.column.higher_is_better else " (low is good)"
    return f"{title}{' in %' if table.ranking.is_fraction else ''}{low} {where}, {_runs(table)}."


def _sentences(table: Table, *, page: bool) -> Iterator[str]:
    yield _numbers(table)
    if page and (hidden := _hidden_factors(table)):
        yield hidden
    if any(row.delta is not None for row in table.rows):
        star = ", * where it is significant" if any(row.p is not None for row in table.rows) else ""
        yield f"Δ is the difference to {reference_text(table.reference)}{star}."
    ranged = next((row for row in table.rows if row.rank != row.last_rank), None)
    if ranged is not None and ranged.rank and ranged.last_rank:
        two = ranged.last_rank == ranged.rank + 1
        words = f"{ranged.rank} or" if two else f"any place from {ranged.rank} to"
        places = f"{'place ' * two}{words} {ranged.last_rank} is possible"
        yield f"Rank {rank_text(ranged)} means that {places}; more runs narrow it."
    if adjusted := _adjusted(table):
        yield adjusted
    if table.published:
        yield "Rows marked as reported are published numbers, not run here: they are not ranked, compared or counted."
    if parameters := parameters_text(table):
        yield parameters


def _adjusted(table: Table) -> str:
    """Return a note where some row lacks runs that others have, so that order and means may seem to disagree."""
    if len({row.n for row in table.rows if row.rank is not None}) < 2:
        return ""
    return "Order, ranks and Δ are adjusted for the pairs of seeds that a row lacks; the means are not."


def _runs(table: Table) -> str:
    found = {row.n for row in table.rows}
    if len(found) > 1:
        return "mean ± 95 % interval over n pairs of seeds"
    (n,) = found or {table.expected}
    pairs = "1 pair of seeds" if n == 1 else f"{n} pairs of seeds"
    pairs = pairs if n == table.expected else f"{n} of {table.expected} pairs of seeds"
    return pairs if n < 2 else f"mean ± 95 % interval over {pairs}"


def _hidden_factors(table: Table) -> str:
    every = [name.partition("@")[2] for name in (table.rows[0].scores if table.rows else {}) if "@" in name]
    shown = [one.score.partition("@")[2] for one in columns(table) if "@" in one.score]
    if len(shown) == len(every):
        return ""
    return f"Shown are {len(shown)} of {len(every)} factors; the mean is over all of them."
