"""Correction for the class distribution of the test images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from ltbench import Meta, NotTuned, Posthoc, hookimpl
from ltbench.longtail import shifted_prior
from ltbench_plugins._notes import BEFORE_ADJUSTMENT

if TYPE_CHECKING:
    from ltbench.stages import FloatArray, IntArray


class PriorShift(Posthoc, frozen=True):
    """Multiply the posterior by the ratio of test and training prior, and normalise.

    In logits: `z + log pi_test - log pi_train`. The training prior is that of the training images. The test prior is
    known: uniform, which is post-hoc logit adjustment with tau = 1, or long-tailed, with shares that fall geometrically
    in the order of the training classes (ratio = 50) or rise (ratio = 0.02). The metric `test_shift` has the accuracy
    under these priors.

    Source: Saerens et al., Adjusting the Outputs of a Classifier to New a Priori Probabilities, Neural Computation 2002,
    equation 2.4; Hong et al., Disentangling Label Distribution for Long-tailed Visual Recognition (LADE), CVPR 2021
    (post-compensated softmax).
    """

    name = "prior_shift"
    doubtful = BEFORE_ADJUSTMENT

    ratio: Annotated[
        float,
        Meta(gt=0, description="test share of the largest training class over that of the smallest; 1 is uniform"),
        NotTuned("is known of the test images"),
    ] = 1.0

    def adjust(self, logits: FloatArray, counts: IntArray) -> FloatArray:
        """Return adjusted logits, float [N, C]. A class without training images is treated as having one."""
        import numpy as np

        present = np.maximum(counts, 1)
        test = shifted_prior(counts, self.ratio)
        adjusted: FloatArray = logits + np.log(test) - np.log(present / present.sum())
        return adjusted


@hookimpl
def ltbench_posthocs() -> list[type[Posthoc]]:
    return [PriorShift]
