"""Brier score."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ltbench import Column, Metric, hookimpl

if TYPE_CHECKING:
    from ltbench.stages import FloatArray, IntArray


class Brier(Metric, frozen=True):
    """Mean squared difference between the probabilities and the labels, summed over the classes.

    `mean over images of sum over c of (p_c - y_c) ** 2` with y_c = 1 for the true class, else 0. It is 0 for certain and
    correct predictions, 1 - 1 / C for equal probabilities of C classes, and 2 for certain and wrong ones. It measures
    calibration and accuracy together. Some define it for two classes with one term, which is half of this.

    Source: Brier, "Verification of Forecasts Expressed in Terms of Probability", Monthly Weather Review 1950, equation 2.
    """

    name = "brier"
    columns = (
        Column(
            name="brier", title="Brier", long_title="Brier score", higher_is_better=False, unit="plain", shown="report",
            order=1, description="Mean squared difference between probabilities and labels, summed over the classes.",
        ),
    )  # fmt: skip

    def compute(self, probabilities: FloatArray, labels: IntArray, counts: IntArray) -> Mapping[str, object]:
        import numpy as np

        squares = (probabilities**2).sum(axis=1) - 2 * probabilities[np.arange(len(labels)), labels] + 1
        return {"brier": float(squares.mean())}


@hookimpl
def ltbench_metrics() -> list[type[Metric]]:
    return [Brier]
