"""Balanced accuracy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ltbench import Column, Metric, hookimpl
from ltbench.columns import BALANCED

if TYPE_CHECKING:
    from ltbench.stages import FloatArray, IntArray


class BalancedAccuracy(Metric, frozen=True):
    """Mean accuracy (recall) of the classes with test images; all classes have the same weight.

    On a balanced test split it is top-1 accuracy. A model that always predicts the same of C classes has 1 / C. The
    prediction is the class with the highest probability; ties go to the lowest label.

    Source: Brodersen et al., "The balanced accuracy and its posterior distribution", ICPR 2010, for two classes; for more it is macro-averaged recall of Kelleher et al., as in scikit-learn's `balanced_accuracy_score`.
    """

    name = BALANCED
    # Boards whose test split is not balanced are ranked by it; on others it would repeat top-1.
    columns = (
        Column(
            name=BALANCED, title="balanced", long_title="Balanced accuracy", shown="export", priority=999,
            description="Mean accuracy of the classes.",
        ),
    )  # fmt: skip

    def compute(self, probabilities: FloatArray, labels: IntArray, counts: IntArray) -> Mapping[str, object]:
        import numpy as np

        classes = len(counts)
        hits = probabilities.argmax(axis=1) == labels
        support = np.bincount(labels, minlength=classes)
        recall = np.bincount(labels, weights=hits, minlength=classes)[support > 0] / support[support > 0]
        return {BALANCED: float(recall.mean())}


@hookimpl
def ltbench_metrics() -> list[type[Metric]]:
    return [BalancedAccuracy]
