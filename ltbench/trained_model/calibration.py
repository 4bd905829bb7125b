"""Temperature scaling of the probabilities of a whole model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ltbench.trained_model.adjustments import softmax

if TYPE_CHECKING:
    from ltbench.stages import FloatArray, IntArray

_LIMITS = (-3.0, 3.0)
"""Of the natural logarithm of the temperature: without them it falls without end where every image is classified right."""


def fitted_temperature(probabilities: FloatArray, labels: IntArray) -> float:
    """Return the temperature T that minimises the mean negative log-likelihood of softmax(log p / T).

    probabilities: float [N, C]; labels: int64 [N]. For one network without views, log p are its logits up to a
    constant, so this is temperature scaling as of a network.
    Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017, section 4.2.
    """
    from scipy.optimize import minimize_scalar

    logs = np.log(np.maximum(probabilities, np.finfo(np.float64).tiny))
    rows = np.arange(len(labels))

    def loss(log_temperature: float) -> float:
        scaled = logs / np.exp(log_temperature)
        scaled -= scaled.max(1, keepdims=True)
        return float((np.log(np.exp(scaled).sum(1)) - scaled[rows, labels]).mean())

    found = minimize_scalar(loss, bounds=_LIMITS, method="bounded", options={"xatol": 1e-8})
    return float(np.exp(found.x))


def calibrated(probabilities: FloatArray, temperature: float) -> FloatArray:
    """Return softmax(log p / temperature), float [N, C]."""
    return softmax(np.log(np.maximum(probabilities, np.finfo(np.float64).tiny)) / temperature)
