"""The best row of a table in words: its score, and from which other rows it differs."""

from __future__ import annotations

from collections.abc import Sequence

from ltbench.core.row_labels import BASELINE
from ltbench.leaderboard.tables.cell_text import number_text, points, reference_text, signed
from ltbench.leaderboard.tables.rows import Row
from ltbench.leaderboard.tables.short_labels import shortened
from ltbench.leaderboard.tables.table import Table


def best_row(table: Table) -> str:
    """Return the best row of a table as in an answer: its name, score and which others differ; empty without a number."""
    if len(ranked_rows(table)) < 2:
        return shortened(only_row(ranked_rows(table)[0], table), table) if ranked_rows(table) else ""
    return shortened(f"{best_and_delta(table)}{against_others(table)}.", table)


def ranked_rows(table: Table) -> list[Row]:
    """Return the rows that have a number, best first."""
    return [row for row in table.rows if row.rank is not None]


def has_tests(rows: Sequence[Row]) -> bool:
    """Return whether a difference of some row was tested."""
    return any(one is not None and one.interval for row in rows for one in (row.delta, row.to_best))


def best_of_several(table: Table) -> str:
    """Return the best row of one of several boards in a sentence."""
    return f"the {best_row_is(table)} {best_row(table)}" if len(ranked_rows(table)) > 1 else best_row(table)


def only_row(row: Row, table: Table) -> str:
    """Return the only row with a number in a sentence."""
    return f"{_name(row)} is the only row with a number: {_score(row, table)}."


def best_and_delta(table: Table) -> str:
    """Return the best row, its score, and its difference to the reference."""
    best, others = _best_and_others(table)
    text = f"{_name(best)} with {_score(best, table)}"
    if best.delta is None or best.label == table.reference or (len(others) == 1 and has_tests(others)):
        return text
    unit = table.ranking.unit
    than = "over" if best.delta.mean > 0 else "relative to"
    return f"{text}, {signed(best.delta.mean, unit)}{points(unit)} {than} {reference_text(table.reference)}"


def best_row_is(table: Table) -> str:
    """Return the subject and verb of the sentence on the best row."""
    best, others = _best_and_others(table)
    # Rows are ordered by means that are adjusted for the runs that they lack, and show the plain ones.
    plain = [table.ranking.sign * _mean(row, table) for row in (best, *others)]
    return f"best row{', adjusted for missing runs,' if plain[0] < max(plain) else ''} is"


def _best_and_others(table: Table) -> tuple[Row, list[Row]]:
    rows = ranked_rows(table)
    return next(row for row in rows if row.is_best), [row for row in rows if not row.is_best]


def against_others(table: Table) -> str:
    """Return from which other rows the best one differs significantly, in a clause."""
    _, others = _best_and_others(table)
    tested = [row for row in others if row.to_best is not None and row.to_best.interval]
    same = [row for row in tested if not _apart(row)]
    if not tested:
        return ""
    if len(others) == 1:
        return f", {'not ' * bool(same)}significantly better than {_name(others[0])} with {_number(others[0], table)}"
    which = "other" if len(tested) == len(others) else "tested"
    if not same:
        return f", significantly better than every {which} row"
    if len(same) == len(tested):
        return f", and does not differ significantly from any {which} row"
    if len(same) == 1:
        return f", significantly better than every {which} row but {_name(same[0])}"
    return f", and does not differ significantly from {len(same):,} of the {len(tested):,} {which} rows"


def _apart(row: Row) -> bool:
    """Return whether a row differs significantly from the best one."""
    low, high = (row.to_best and row.to_best.interval) or (0.0, 0.0)
    return low > 0 or high < 0


def _score(row: Row, table: Table) -> str:
    where = " (mean over factors)" if table.factor is None else ""
    if table.ranking.is_fraction:
        return f"{_number(row, table)} {table.ranking.words}{where}"
    return f"{table.ranking.words} {_number(row, table)}{where}"


def _number(row: Row, table: Table) -> str:
    text = number_text(_mean(row, table), table.ranking.unit)
    return f"{text} %" if table.ranking.is_fraction else text


def _mean(row: Row, table: Table) -> float:
    estimate = row.scores[table.ranking.name]
    assert estimate is not None
    return estimate.mean


def _name(row: Row) -> str:
    return "the baseline" if row.label == BASELINE else row.label
