from __future__ import annotations

import numpy as np
import pytest

from ltbench.errors import JobFailed
from ltbench.stages import LinearClassifier
from ltbench_plugins.posthocs.tau_norm import TauNorm

RNG = np.random.default_rng(0)
FEATURES, WEIGHTS, BIAS = RNG.normal(size=(7, 5)), RNG.normal(size=(3, 5)), RNG.normal(size=3)
LINEAR = LinearClassifier(np.linalg.norm(WEIGHTS, axis=1), BIAS)
LOGITS = FEATURES @ WEIGHTS.T + BIAS
COUNTS = np.array([9, 3, 1])


def test_weights_of_length_one_and_no_bias_leave_logits_as_they_are() -> None:
    adjusted = TauNorm().adjust_linear(LOGITS, COUNTS, LinearClassifier(np.ones(3), np.zeros(3)))
    np.testing.assert_array_equal(adjusted, LOGITS)


def test_by_hand() -> None:
    # Weights (3, 4) and (1, 0), bias 1 and 2, features (1, 1): logits 8 and 3; without bias 7 and 1; norms 5 and 1.
    adjusted = TauNorm().adjust_linear(
        np.array([[8.0, 3.0]]), COUNTS[:2], LinearClassifier(np.array([5.0, 1.0]), np.array([1.0, 2.0]))
    )
    np.testing.assert_allclose(adjusted, [[1.4, 1.0]])


@pytest.mark.parametrize("tau", [0.0, 0.5, 1.0, 2.0])
def test_it_is_the_classifier_with_normalised_weights(tau: float) -> None:
    normalised = WEIGHTS / np.linalg.norm(WEIGHTS, axis=1, keepdims=True) ** tau
    np.testing.assert_allclose(TauNorm(tau=tau).adjust_linear(LOGITS, COUNTS, LINEAR), FEATURES @ normalised.T)


def test_tau_one_decides_by_the_cosine() -> None:
    cosine = LOGITS - BIAS
    cosine = cosine / np.linalg.norm(FEATURES, axis=1, keepdims=True) / np.linalg.norm(WEIGHTS, axis=1)
    adjusted = TauNorm().adjust_linear(LOGITS, COUNTS, LINEAR)
    np.testing.assert_array_equal(adjusted.argmax(1), cosine.argmax(1))


def test_without_a_linear_layer_it_says_so() -> None:
    with pytest.raises(JobFailed, match="linear layer"):
        TauNorm().adjust_linear(LOGITS, COUNTS, None)
