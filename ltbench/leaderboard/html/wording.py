"""Names and descriptions of scores, columns and costs in a report."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from ltbench.columns import PRIMARY, Column
from ltbench.leaderboard.tables.cell_text import reference_text
from ltbench.leaderboard.tables.columns import AREA


class Term(msgspec.Struct, frozen=True):
    """A name in full, and what it means."""

    name: str
    about: str = ""


COLUMNS = {
    "#": Term("Rank", "By top-1 accuracy: one plus the rows that are significantly better (paired tests, corrected)."),
    "techniques": Term("Techniques", "What the combination uses in place of the baseline."),
    "best": Term("Like the best", "≈ where no row is significantly better (paired tests, corrected)."),
    "n": Term("Runs", "Pairs of seeds, one for the long-tailed subset and one for the training."),
    AREA: Term("Area", "Area under the line of top-1 accuracy over the logarithm of the imbalance factor."),
    "mean": Term("Mean top-1 accuracy", "Top-1 accuracy, the mean over all imbalance factors of each run."),
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


def difference_term(reference: str) -> Term:
    """Return name and description of the differences to the row with this label."""
    return Term(
        f"Difference to {reference_text(reference)}",
        "Of top-1 accuracy, run by run, with its 95 % interval; * where it is significant (paired test, corrected).",
    )


def score_term(score: str, declared: Iterable[Column]) -> Term:
    """Return name and description of a score."""
    if score.startswith(f"{PRIMARY}@"):
        factor = score.partition("@")[2]
        return Term(f"Top-1 at factor {factor}", f"Top-1 accuracy at imbalance factor {factor}.")
    column = next(column for column in declared if column.name == score)
    return Term(column.full_title, column.full_description)
