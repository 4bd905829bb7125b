"""The geometric mean of recalls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

from ltbench import Column, Meta, Metric, hookimpl

if TYPE_CHECKING:
    from ltbench.stages import FloatArray, IntArray

LTBENCH_API = 1  # version of the ltbench hooks that this module implements


class Gmean(Metric, frozen=True):
    """The geometric mean of the recalls of all classes, which is low if any recall is low.

    `g = (product of the C recalls) ** (1 / C)` is 0 if a single class is never predicted correctly; `least` is a lower
    bound of recalls that avoids this. A class without test images has no recall and is left out.

    Source: Kubat and Matwin, Addressing the Curse of Imbalanced Training Sets: One-Sided Selection, ICML 1997,
    for two classes; Sun, Kamel and Wang, Boosting for Learning Multiple Classes with Imbalanced Class Distribution, ICDM
    2006, for several.
    """

    name = "gmean"
    columns = (
        Column(
            name="gmean",
            title="G-mean",
            description="Geometric mean of the recalls of all classes; 0 if the recall of any class is 0.",
            shown="main",
            priority=45,  # A main table has room for eight columns: before the many- and medium-shot accuracies.
        ),
    )

    least: Annotated[float, Meta(ge=0, lt=1, description="lower bound of recalls")] = 0.0

    def compute(self, probabilities: FloatArray, labels: IntArray, counts: IntArray) -> Mapping[str, object]:
        """Return the number by its name. probabilities: float [N, C]; labels: int64 [N]; counts: int64 [C]."""
        import numpy as np

        images = np.bincount(labels, minlength=len(counts))
        hits = np.bincount(labels[probabilities.argmax(1) == labels], minlength=len(counts))
        recalls = np.maximum(hits[images > 0] / images[images > 0], self.least)
        # The mean of logarithms, as a product of a thousand recalls would underflow.
        return {"gmean": float(np.exp(np.log(recalls).mean())) if recalls.all() else 0.0}


@hookimpl
def ltbench_metrics() -> list[type[Metric]]:
    return [Gmean]
