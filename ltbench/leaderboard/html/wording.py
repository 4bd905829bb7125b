"""What a report calls scores, columns and costs, and what it says of each."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from ltbench.leaderboard.tables.columns import AREA
from ltbench.stages import PRIMARY, Column


class Term(msgspec.Struct, frozen=True):
    """A name in full, and what it means."""

    name: str
    about: str = ""


COLUMNS = {
    "#": Term("Rank", "By top-1 accuracy. Rows share a rank where no corrected paired test tells them apart."),
    "techniques": Term("Techniques", "What the combination picks; everything else is as in the baseline."),
    "best": Term("Like the best", "≈ where no corrected paired test tells a row from the best one."),
    "n": Term("Runs", "Pairs of seeds, one for the long-tailed subset and one for the training."),
    "Δ": Term(
        "Difference to the baseline",
        "Of top-1 accuracy, run by run, with its 95 % interval; * where a corrected paired test tells it from zero.",
    ),
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
"""The costs that a report offers, the first one that records have being the first shown."""


def score_term(score: str, declared: Iterable[Column]) -> Term:
    """Return what to call a score."""
    if score.startswith(f"{PRIMARY}@"):
        factor = score.partition("@")[2]
        return Term(f"Top-1 at factor {factor}", f"Top-1 accuracy at imbalance factor {factor}.")
    column = next(column for column in declared if column.name == score)
    direction = "" if column.higher_is_better else "Low is good."
    return Term(column.full_title, " ".join(filter(None, (column.description, direction))))
