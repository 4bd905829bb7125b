"""Names and descriptions of scores, columns and costs in a report."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from ltbench.columns import Column
from ltbench.leaderboard.statistics.ranking import Ranking
from ltbench.leaderboard.tables.cell_text import reference_text
from ltbench.leaderboard.tables.columns import AREA


class Term(msgspec.Struct, frozen=True):
    """A name in full, and what it means."""

    name: str
    about: str = ""


_COLUMNS = {
    "#": Term("Rank", "By {metric}: one plus the rows that are significantly better (paired tests, corrected)."),
    "techniques": Term("Techniques", "What the combination uses in place of the baseline."),
    "best": Term("Like the best", "≈ where no row is significantly better (paired tests, corrected)."),
    "n": Term("Runs", "Pairs of seeds, one for the long-tailed subset and one for the training."),
    AREA: Term("Area", "Area under the line of {metric} over the logarithm of the imbalance factor."),
    "mean": Term("Mean {metric}", "The mean of {metric} over all imbalance factors of each run."),
}
COSTS = {
    "train_seconds": Term(
        "Training time, s", "On the machine of the run; training that combinations share counts for each of them."
    ),
    "predict_seconds": Term("Prediction time, s", "Of the whole test set, on the machine of the run."),
    "macs": Term("Multiply-accumulates per image"),
    "parameters": Term("Parameters"),
    "samples": Term("Training images seen"),
    "peak_memory_bytes": Term("Peak memory, bytes"),
}
"""Costs that a report offers; the first one that the records have is shown first."""


def column_term(name: str, ranking: Ranking) -> Term | None:
    """Return name and description of a column that no metric declares; None for others."""
    term = _COLUMNS.get(name)
    words = ranking.words
    return None if term is None else Term(term.name.format(metric=words), term.about.format(metric=words))


def difference_term(reference: str, ranking: Ranking) -> Term:
    """Return name and description of the differences to the row with this label."""
    return Term(
        f"Difference to {reference_text(reference)}",
        f"Of {ranking.words}, run by run, with its 95 % interval; * where it is significant (paired test, corrected).",
    )


def score_term(score: str, declared: Iterable[Column], ranking: Ranking) -> Term:
    """Return name and description of a score."""
    if score.startswith(f"{ranking.name}@"):
        factor, title = score.partition("@")[2], ranking.column.full_title
        return Term(f"{title} at factor {factor}", f"{title} at imbalance factor {factor}.")
    column = next((column for column in declared if column.name == score), ranking.column)
    return Term(column.full_title, column.full_description)
