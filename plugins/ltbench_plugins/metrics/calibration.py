"""Calibration of probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

from ltbench import Column, Meta, Metric, hookimpl
from ltbench_plugins.metrics._bins import expected_calibration_error

if TYPE_CHECKING:
    from ltbench.stages import FloatArray, IntArray


class Calibration(Metric, frozen=True):
    """Expected calibration error and negative log-likelihood.

    `ece` is the mean difference between confidence (the highest probability) and accuracy over bins of equal width,
    weighted by the number of images. Bins are open below and closed above. `nll` is in nats; probabilities of the true
    class are at least 2.2e-16, so that a single probability of 0 does not make it infinite.

    Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, equation 3.
    """

    name = "calibration"
    columns = (
        Column(
            name="ece", title="ECE", higher_is_better=False, order=1, priority=30,
            description="Expected calibration error with 15 confidence bins.",
        ),
        Column(
            name="nll", title="NLL", long_title="Negative log-likelihood", higher_is_better=False, unit="plain",
            shown="export", description="Mean negative logarithm of the probability of the true class.",
        ),
    )  # fmt: skip
    bins: Annotated[int, Meta(ge=1, description="number of confidence bins")] = 15

    def compute(self, probabilities: FloatArray, labels: IntArray, counts: IntArray) -> Mapping[str, object]:
        import numpy as np

        true_class = probabilities[np.arange(len(labels)), labels]
        return {
            "ece": expected_calibration_error(probabilities, labels, self.bins),
            "nll": float(-np.log(np.maximum(true_class, np.finfo(np.float64).eps)).mean()),
        }


@hookimpl
def ltbench_metrics() -> list[type[Metric]]:
    return [Calibration]
