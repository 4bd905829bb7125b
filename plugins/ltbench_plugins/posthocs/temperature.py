"""Temperature scaling."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ltbench import Evidence, LinearClassifier, Posthoc, Predicted, hookimpl

if TYPE_CHECKING:
    from ltbench.stages import FloatArray, IntArray

_LOWEST, _HIGHEST = 1e-2, 1e2
"""Limits of 1/T: without them it grows without end where every held-out image is classified correctly."""
_HALVINGS = 60
"""Of the logarithm of the interval: more would not change the last bit."""


class Temperature(Posthoc, frozen=True):
    """Divide the logits by the temperature that minimises the loss of held-out images.

    It needs a suite that holds images out (`--held-out 0.1`). The predicted classes stay; only confidences change. The
    loss is the mean negative log-likelihood, and is convex in 1/T, so the minimum is where its derivative, the mean
    difference of expected and true logit, is zero.

    Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017, equation 9.
    """

    name = "temperature"
    evidence = frozenset({"held_out"})

    def fit(self, evidence: Evidence) -> float:
        """Return the temperature."""
        import numpy as np

        assert evidence.held_out is not None, "asked for"
        logits, labels = evidence.held_out.logits, evidence.held_out.labels
        true = logits[np.arange(len(labels)), labels]
        low, high = np.log(_LOWEST), np.log(_HIGHEST)
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            scaled = np.exp(middle) * logits
            raised = np.exp(scaled - scaled.max(1, keepdims=True))
            expected = (raised * logits).sum(1) / raised.sum(1)
            low, high = (middle, high) if (expected - true).mean() < 0 else (low, middle)
        return float(np.exp(-(low + high) / 2))

    def adjust(self, logits: FloatArray, counts: IntArray) -> FloatArray:
        """Return the logits unchanged: without held-out images, the temperature is 1."""
        return logits

    def adjust_with(
        self, state: float, predicted: Predicted, counts: IntArray, classifier: LinearClassifier | None
    ) -> FloatArray:
        """Return the logits divided by the temperature `state`, float [N, C]."""
        divided: FloatArray = predicted.logits / state
        return divided


@hookimpl
def ltbench_posthocs() -> list[type[Posthoc]]:
    return [Temperature]
