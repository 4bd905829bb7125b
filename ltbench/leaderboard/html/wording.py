"""What a report calls scores, columns and costs, and what it says of each."""

from __future__ import annotations

import msgspec

from ltbench import longtail
from ltbench.leaderboard.tables.table import PRIMARY


class Word(msgspec.Struct, frozen=True):
    """A name in full, and what it means."""

    name: str
    about: str = ""
    sign: int = 1
    """Whether high (1) or low (-1) is good."""


SCORES = {
    PRIMARY: Word("Top-1 accuracy", "Share of the test images whose class is predicted."),
    "many": Word("Many", f"Mean accuracy of the classes with more than {longtail.MANY} training images."),
    "medium": Word("Medium", f"Mean accuracy of the classes with {longtail.FEW} to {longtail.MANY} training images."),
    "few": Word("Few", f"Mean accuracy of the classes with fewer than {longtail.FEW} training images."),
    "worst_class": Word("Worst class", "Accuracy of the class with the lowest one."),
    "head_third": Word("Head third", "Mean accuracy of the third of the classes with the most training images."),
    "middle_third": Word("Middle third", "Mean accuracy of the third of the classes in the middle."),
    "tail_third": Word("Tail third", "Mean accuracy of the third of the classes with the fewest training images."),
    "sd_classes": Word("SD across classes", "How far the accuracies of the classes spread. Low is good.", -1),
    "macro_f1": Word("Macro F1", "Mean over classes of the harmonic mean of precision and recall."),
    "area": Word("Area", "Area under the line of top-1 accuracy over the logarithm of the imbalance factor."),
    "ece": Word("ECE", "Expected calibration error over 15 bins of confidence. Low is good.", -1),
}
COLUMNS = {
    "#": Word("Rank", "By top-1 accuracy. Rows share a rank where no corrected paired test tells them apart."),
    "techniques": Word("Techniques", "What the combination picks; everything else is as in the baseline."),
    "best": Word("Like the best", "≈ where no corrected paired test tells a row from the best one."),
    "n": Word("Runs", "Pairs of seeds, one for the long-tailed subset and one for the training."),
    "Δ": Word(
        "Difference to the baseline",
        "Of top-1 accuracy, run by run, with its 95 % interval; * where a corrected paired test tells it from zero.",
    ),
    "mean": Word("Mean top-1 accuracy", "Top-1 accuracy, the mean over all imbalance factors of each run."),
}
COSTS = {
    "train_seconds": Word(
        "Training time, s", "On the machine of the run; training that combinations share counts for each of them."
    ),
    "predict_seconds": Word("Prediction time, s", "Of the whole test set, on the machine of the run."),
    "macs": Word("Multiply-accumulates per image"),
    "parameters": Word("Parameters"),
    "samples": Word("Training images seen"),
    "peak_memory_bytes": Word("Peak memory, bytes"),
}
"""The costs that a report offers, the first one that records have being the first shown."""


def score_word(score: str, heading: str) -> Word:
    """Return what to call a score; one that nobody here knows has its heading."""
    if score.startswith(f"{PRIMARY}@"):
        factor = score.partition("@")[2]
        return Word(f"Top-1 at factor {factor}", f"Top-1 accuracy at imbalance factor {factor}.")
    return SCORES.get(score, Word(heading))
