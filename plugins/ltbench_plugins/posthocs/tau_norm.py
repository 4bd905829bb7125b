"""Normalised classifiers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from ltbench import Meta, Posthoc, hookimpl
from ltbench.errors import JobFailed
from ltbench_plugins._notes import BEFORE_ADJUSTMENT

if TYPE_CHECKING:
    from ltbench.stages import FloatArray, IntArray, LinearClassifier


class TauNorm(Posthoc, frozen=True):
    """Divide the classifier weights of each class by their norm to the power of tau, after training.

    Classes with many images have weight vectors with a large norm, and thus large logits for any image. With tau = 1 all
    norms are equal; with tau = 0 only the bias is removed, as in the paper. The paper chooses tau per data set on
    validation images. Here, sweep it: `tau_norm[tau=0.5,0.7,1]`. The network must end with a linear layer.

    Source: Kang et al., Decoupling Representation and Classifier for Long-Tailed Recognition, 2020, section 4.1,
    equation 4.
    """

    name = "tau_norm"
    doubtful = BEFORE_ADJUSTMENT

    tau: Annotated[
        float, Meta(ge=0, description="power of the norm: 0 removes only the bias, 1 makes all norms equal")
    ] = 1.0

    def adjust(self, logits: FloatArray, counts: IntArray) -> FloatArray:
        """Raise `JobFailed`: the norms of the weights are not in the logits."""
        raise JobFailed(
            "posthoc 'tau_norm' needs a network that ends with a linear layer",
            fix="leave tau_norm out for this model, or use logit_adjust_posthoc",
        )

    def adjust_linear(self, logits: FloatArray, counts: IntArray, classifier: LinearClassifier | None) -> FloatArray:
        """Return `(logits - bias) / norms ** tau`, float [N, C]. A class with zero weights keeps its logit."""
        if classifier is None:
            return self.adjust(logits, counts)
        import numpy as np

        norms = np.where(classifier.norms > 0, classifier.norms, 1.0)
        adjusted: FloatArray = (logits - classifier.bias) / norms**self.tau
        return adjusted


@hookimpl
def ltbench_posthocs() -> list[type[Posthoc]]:
    return [TauNorm]
