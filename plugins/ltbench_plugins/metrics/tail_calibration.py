"""Calibration on the tail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ltbench import Column, Metric, hookimpl
from ltbench_plugins.metrics._bins import expected_calibration_error
from ltbench_plugins.metrics.calibration import Calibration

if TYPE_CHECKING:
    from ltbench.stages import FloatArray, IntArray


class TailCalibration(Metric, frozen=True):
    """Expected calibration error on the images of the tail third of classes.

    Networks trained on a long tail are often most over-confident where they err most, on images of rare classes; on all
    test images the frequent classes can hide it. The tail is the third of the classes with the fewest training images,
    the error that of `calibration`. None if the tail has no test images.

    Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, equation 3; for groups of classes as in
    Zhong et al., "Improving Calibration for Long-Tailed Recognition", CVPR 2021.
    """

    name = "tail_calibration"
    columns = (
        Column(
            name="tail_ece", title="tail ECE", higher_is_better=False, shown="report", order=1, priority=29,
            description="Expected calibration error on images of the third of classes with the fewest training images, "
            "with 15 confidence bins.",
        ),
    )  # fmt: skip

    def compute(self, probabilities: FloatArray, labels: IntArray, counts: IntArray) -> Mapping[str, object]:
        import numpy as np

        from ltbench.longtail import thirds

        tail = np.isin(labels, thirds(counts)["tail"])
        if not tail.any():
            return {"tail_ece": None}
        return {"tail_ece": expected_calibration_error(probabilities[tail], labels[tail], Calibration().bins)}


@hookimpl
def ltbench_metrics() -> list[type[Metric]]:
    return [TailCalibration]
