from __future__ import annotations

import numpy as np
import pytest

from ltbench.errors import JobFailed, ParameterError
from ltbench.stages import Evidence, LinearClassifier, Predicted
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


def evidence(classifier: LinearClassifier | None = LINEAR) -> Evidence:
    """Return held-out images of which the first two classes are right at any tau, and the third up to tau = 1.4."""
    # Norms 1, 1 and 4; logits of the third class 8, so 8 / 4 ** 1.4 = 1.149 and 8 / 4 ** 1.5 = 1.
    logits = np.array([[9.0, 0.0, 0.0], [0.0, 9.0, 0.0], [1.1, 0.0, 8.0], [1.5, 0.0, 8.0]])
    labels = np.array([0, 1, 2, 0])
    held_out = Predicted(logits=logits, labels=labels)
    return Evidence(counts=COUNTS, classifier=classifier, held_out=held_out)


FOURFOLD = LinearClassifier(np.array([1.0, 1.0, 4.0]), np.zeros(3))


def test_tau_is_chosen_by_the_mean_accuracy_of_held_out_classes() -> None:
    # The last image is right from 8 / 4 ** tau < 1.5 on, so from tau = 1.3; all are right at 1.3 and 1.4.
    assert TauNorm(tau="held_out").fit(evidence(FOURFOLD)) == 1.3


def test_a_rare_class_counts_as_much_as_a_frequent_one() -> None:
    # From tau = 1.3 on, eight of the sixteen images of class 0 are gained, and the only one of class 2 is lost.
    logits = np.array([[1.5, 0.0, 8.0]] * 8 + [[9.0, 0.0, 0.0]] * 8 + [[1.5, 0.0, 8.0]])
    held_out = Predicted(logits=logits, labels=np.array([0] * 16 + [2]))
    given = Evidence(counts=COUNTS, classifier=FOURFOLD, held_out=held_out)
    assert TauNorm(tau="held_out").fit(given) == 0.0


def test_the_chosen_tau_adjusts_as_a_given_one_does() -> None:
    fitted = TauNorm(tau="held_out")
    adjusted = fitted.adjust_with(0.5, Predicted(logits=LOGITS), COUNTS, LINEAR)
    np.testing.assert_array_equal(adjusted, TauNorm(tau=0.5).adjust_linear(LOGITS, COUNTS, LINEAR))


def test_only_the_chosen_tau_asks_for_held_out_images() -> None:
    assert (TauNorm().uses(), TauNorm(tau="held_out").uses()) == (frozenset(), frozenset({"held_out"}))
    assert TauNorm.parse({"tau": "held_out"}) == TauNorm(tau="held_out")
    assert TauNorm.parse({"tau": "0.5"}) == TauNorm(tau=0.5)
    assert TauNorm.parse({"tau": "1"}).params == {}


@pytest.mark.parametrize("tau", ["other", -0.5])
def test_another_text_is_refused(tau: object) -> None:
    with pytest.raises(ParameterError):
        TauNorm(tau=tau)  # type: ignore[arg-type]


def test_choosing_without_a_linear_layer_says_so() -> None:
    with pytest.raises(JobFailed, match="linear layer"):
        TauNorm(tau="held_out").fit(evidence(None))
