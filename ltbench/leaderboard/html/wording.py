"""Names and descriptions of scores, columns and costs in a report."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from ltbench.columns import Column
from ltbench.leaderboard.statistics.ranking import Ranking
from ltbench.leaderboard.tables.cell_text import RANK, RUNS, reference_text
from ltbench.leaderboard.tables.columns import AREA


class Term(msgspec.Struct, frozen=True):
    """A name in full, and what it means."""

    name: str
    about: str = ""


P, EFFECT = "p of Δ", "d of Δ"
_COLUMNS = {
    RANK: Term(
        "Rank",
        "Ranks by {metric} that the row may have: as many rows as are significantly better stand above it, as many as are "
        "significantly worse below it. A wide range means that these runs cannot tell, not that rows are equal.",
    ),
    "techniques": Term("Techniques", "What the combination uses in place of the baseline."),
    RUNS: Term("Runs", "Pairs of seeds: one for the long-tailed subset, one for the training."),
    P: Term("P-value of the difference", "Corrected for all pairs of rows of the table."),
    EFFECT: Term(
        "Effect size of the difference",
        "In standard deviations of a single run (Cohen's d_z with Hedges' correction for few runs).",
    ),
    AREA: Term("Area", "Area under the line of {metric} over the logarithm of the imbalance factor."),
    "mean": Term("Mean {metric}", "The mean of {metric} over all imbalance factors of each run."),
}
PASSES = "passes"
"""Cost of training and prediction in forward passes of an image, computed from those of the records."""
_NOISE = "Small differences say nothing: they depend on the machine and on what else it was doing."
COSTS = {
    PASSES: Term(
        "Passes of an image",
        "The same on every machine: three for each training image seen, forward and backward, and one for each test image "
        "and the cheapest prediction of the table; views and members that multiply its multiply-accumulates multiply it. "
        "Training that combinations share counts for each of them.",
    ),
    "samples": Term("Training images seen"),
    "macs": Term("Multiply-accumulates per image", "Of a prediction, by all members and views."),
    "parameters": Term("Parameters"),
    "peak_memory_bytes": Term("Peak memory, bytes", "Differs between machines."),
    "train_seconds": Term("Training time, s", _NOISE),
    "predict_seconds": Term("Prediction time, s", f"Of the whole test set. {_NOISE}"),
}
"""Costs that a report offers; the first one that the records have is shown first, so one that depends on no machine."""


def column_term(name: str, ranking: Ranking) -> Term | None:
    """Return name and description of a column that no metric declares; None for others."""
    term = _COLUMNS.get(name)
    words = ranking.words
    return None if term is None else Term(term.name.format(metric=words), term.about.format(metric=words))


def difference_term(reference: str, ranking: Ranking) -> Term:
    """Return name and description of the differences to the row with this label."""
    return Term(
        f"Difference to {reference_text(reference)}",
        f"Of {ranking.words},{' in points,' if ranking.is_fraction else ''} with its simultaneous 95 % interval: those of all pairs of rows hold together. "
        "* where the interval leaves out zero.",
    )


def score_term(score: str, declared: Iterable[Column], ranking: Ranking) -> Term:
    """Return name and description of a score."""
    if score.startswith(f"{ranking.name}@"):
        factor, title = score.partition("@")[2], ranking.column.full_title
        return Term(f"{title} at factor {factor}", f"{title} at imbalance factor {factor}.")
    column = next((column for column in declared if column.name == score), ranking.column)
    return Term(column.full_title, column.full_description)
