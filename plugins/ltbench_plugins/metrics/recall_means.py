"""Means of the recalls that a poor class lowers most."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ltbench import Column, Metric, hookimpl

if TYPE_CHECKING:
    from ltbench.stages import FloatArray, IntArray


class RecallMeans(Metric, frozen=True):
    """Geometric and harmonic mean of the recalls of the classes.

    `geometric_mean = (product of the recalls) ** (1 / C)` and `harmonic_mean = C / (sum of 1 / recall)`. A class with a
    low recall lowers the geometric mean more than balanced accuracy, which is the arithmetic mean, and the harmonic mean
    most. Both are 0 if one class is never predicted correctly. Classes without test images are left out.

    Source: for the geometric mean Sun, Kamel and Wang, "Boosting for Learning Multiple Classes with Imbalanced Class
    Distribution", ICDM 2006; for the harmonic mean Du and Wu, "No One Left Behind: Improving the Worst Categories in
    Long-Tailed Learning", CVPR 2023.
    """

    name = "recall_means"
    columns = (
        Column(
            name="geometric_mean", title="G-mean", long_title="Geometric mean of recalls", shown="report", priority=28,
            description="Geometric mean of the accuracies of the classes; 0 if that of any class is 0.",
        ),
        Column(
            name="harmonic_mean", title="H-mean", long_title="Harmonic mean of recalls", shown="report", priority=27,
            description="Harmonic mean of the accuracies of the classes; 0 if that of any class is 0.",
        ),
    )  # fmt: skip

    def compute(self, probabilities: FloatArray, labels: IntArray, counts: IntArray) -> Mapping[str, object]:
        import numpy as np

        classes = len(counts)
        support = np.bincount(labels, minlength=classes)
        hits = np.bincount(labels, weights=probabilities.argmax(axis=1) == labels, minlength=classes)
        recalls = hits[support > 0] / support[support > 0]
        if not recalls.all():
            return {"geometric_mean": 0.0, "harmonic_mean": 0.0}
        # Logarithms, as a product of a thousand recalls would underflow.
        return {
            "geometric_mean": float(np.exp(np.log(recalls).mean())),
            "harmonic_mean": float(1 / (1 / recalls).mean()),
        }


@hookimpl
def ltbench_metrics() -> list[type[Metric]]:
    return [RecallMeans]
