"""Normalised classifiers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from ltbench import Evidence, LinearClassifier, Meta, Posthoc, Predicted, Tune, hookimpl
from ltbench.errors import JobFailed
from ltbench_plugins._notes import BEFORE_ADJUSTMENT

if TYPE_CHECKING:
    from ltbench.stages import FloatArray, IntArray

_GRID = tuple(step / 10 for step in range(21))
"""Values of tau to choose from; the authors' code sweeps the same range."""


class TauNorm(Posthoc, frozen=True):
    """Divide the classifier weights of each class by their norm to the power of tau, after training.

    Classes with many images have weight vectors with a large norm, and thus large logits for any image. With tau = 1 all
    norms are equal; with tau = 0 only the bias is removed, as in the paper. The paper chooses tau per data set on
    validation images: so does `tau_norm[tau=held_out]`, from 0, 0.1 ... 2, by the mean accuracy of the classes, as
    held-out images are long-tailed. Without held-out images, sweep it: `tau_norm[tau=0.5,0.7,1]`. The network must end
    with a linear layer.

    Source: Kang et al., Decoupling Representation and Classifier for Long-Tailed Recognition, ICLR 2020,
    section 4 (tau-normalised classifier).
    """

    name = "tau_norm"
    doubtful = BEFORE_ADJUSTMENT
    conflicts = dict.fromkeys(("cosine", "etf", "norm_free"), "the weights of this head have no norms of their own")

    tau: Annotated[
        Annotated[float, Meta(ge=0)] | Literal["held_out"],
        Meta(
            description="power of the norm: 0 removes only the bias, 1 makes all norms equal; or chosen on held-out images"
        ),
        Tune(0.2, 2.0),
    ] = 1.0

    def uses(self) -> frozenset[Literal["held_out", "train", "features"]]:
        return frozenset({"held_out"}) if self.tau == "held_out" else frozenset()

    def fit(self, evidence: Evidence) -> float:
        """Return the tau of the grid with the best mean accuracy of the classes with held-out images; the lowest if tied."""
        import numpy as np

        assert evidence.held_out is not None, "asked for"
        logits, labels = evidence.held_out.logits, evidence.held_out.labels
        weights = 1 / np.bincount(labels)[labels]

        def right(tau: float) -> float:
            adjusted = TauNorm(tau=tau).adjust_linear(logits, evidence.counts, evidence.classifier)
            # Rounded, so that ties do not depend on the order of additions.
            return round(float(((adjusted.argmax(1) == labels) * weights).sum()), 9)

        return max(_GRID, key=lambda tau: (right(tau), -tau))

    def adjust(self, logits: FloatArray, counts: IntArray) -> FloatArray:
        """Raise `JobFailed`: the norms of the weights are not in the logits."""
        raise JobFailed(
            "posthoc 'tau_norm' needs a network that ends with a linear layer",
            fix="leave tau_norm out for this model, or use logit_adjust_posthoc",
        )

    def adjust_with(
        self, state: float | None, predicted: Predicted, counts: IntArray, classifier: LinearClassifier | None
    ) -> FloatArray:
        """Return the logits adjusted with the fitted tau `state`, or with the given one, float [N, C]."""
        chosen = self if state is None else TauNorm(tau=state)
        return chosen.adjust_linear(predicted.logits, counts, classifier)

    def adjust_linear(self, logits: FloatArray, counts: IntArray, classifier: LinearClassifier | None) -> FloatArray:
        """Return `(logits - bias) / norms ** tau`, float [N, C]. A class with zero weights keeps its logit."""
        if classifier is None:
            return self.adjust(logits, counts)
        import numpy as np

        assert isinstance(self.tau, float), "it was fitted"
        norms = np.where(classifier.norms > 0, classifier.norms, 1.0)
        adjusted: FloatArray = (logits - classifier.bias) / norms**self.tau
        return adjusted


@hookimpl
def ltbench_posthocs() -> list[type[Posthoc]]:
    return [TauNorm]
