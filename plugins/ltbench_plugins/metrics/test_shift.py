"""Accuracy under another class distribution of the test images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ltbench import Column, Metric, hookimpl
from ltbench.longtail import shifted_prior
from ltbench.technique import written

if TYPE_CHECKING:
    from ltbench.stages import FloatArray, IntArray

_RATIOS = (2.0, 5.0, 10.0, 25.0, 50.0)


class ShiftedTest(Metric, frozen=True):
    """Accuracy if the test images were distributed like the training images (forward), or the other way (backward).

    `forward_50` is the accuracy if the classes were long-tailed with a ratio of 50, in the order of the training classes;
    `backward_50` reverses the order; `uniform` is balanced accuracy. It is the mean of the recalls, weighted by the share
    of each class, so no test image is drawn or left out. Predictions are the same for all of them: `prior_shift` has those of
    a classifier that knows the shift, as the papers' post-compensated ones do. Published numbers are accuracies on sub-samples of the test
    images, which differ by the luck of the draw and by rounding of class counts. Classes without test images are left out.

    Source: Hong et al., Disentangling Label Distribution for Long-tailed Visual Recognition (LADE), CVPR 2021, the
    evaluation on shifted test sets, whose ratios are also those of Zhang et al., SADE, NeurIPS 2022.
    """

    name = "test_shift"
    columns = (
        *(
            Column(
                name=f"{way}_{ratio:g}", title=f"{way[:4]}. {ratio:g}", long_title=f"{way.capitalize()} shift {ratio:g}",
                shown="report" if ratio == 50 else "export",
                description=f"Accuracy if the test classes were long-tailed with ratio {ratio:g}, in the {order} of the "
                            "training classes.",
            )
            for way, order in (("forward", "order"), ("backward", "reverse order"))
            for ratio in _RATIOS
        ),
        Column(
            name="uniform", title="uniform", long_title="Uniform test classes", shown="export",
            description="Accuracy if all classes had equally many test images.",
        ),
    )  # fmt: skip

    def compute(self, probabilities: FloatArray, labels: IntArray, counts: IntArray) -> Mapping[str, object]:
        import numpy as np

        classes = len(counts)
        hits = probabilities.argmax(axis=1) == labels
        support = np.bincount(labels, minlength=classes)
        tested = support > 0
        recall = np.bincount(labels, weights=hits, minlength=classes)[tested] / support[tested]

        def under(ratio: float) -> float:
            shares = np.array(shifted_prior(counts, ratio))[tested]
            return float(shares @ recall / shares.sum())

        forward = {f"forward_{written(ratio)}": under(ratio) for ratio in _RATIOS}
        backward = {f"backward_{written(ratio)}": under(1 / ratio) for ratio in _RATIOS}
        return {**forward, "uniform": under(1.0), **backward}


@hookimpl
def ltbench_metrics() -> list[type[Metric]]:
    return [ShiftedTest]
