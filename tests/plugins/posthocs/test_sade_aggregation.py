from __future__ import annotations

import numpy as np
import pytest

from ltbench_plugins.posthocs.sade_aggregation import SadeAggregation, _gradient, _softmax


def agreement(logits: np.ndarray, weights: np.ndarray) -> float:
    """Return the mean over images of the product of the predictions for two views."""
    first, second = (_softmax(sum(w * z for w, z in zip(weights, view, strict=True))) for view in logits)
    return float((first * second).sum(1).mean())


def logits_of(seed: int = 0) -> np.ndarray:
    return 2 * np.random.default_rng(seed).standard_normal((2, 3, 40, 4))


def test_the_gradient_is_that_of_the_agreement() -> None:
    logits, weights = logits_of(), np.array([0.2, 0.5, 0.3])
    numeric = [
        (agreement(logits, weights + step) - agreement(logits, weights - step)) / 2e-6 for step in 1e-6 * np.eye(3)
    ]
    np.testing.assert_allclose(_gradient(logits, weights), numeric, rtol=1e-5)


def test_a_step_goes_along_the_gradient_of_the_parameters_of_the_softmax() -> None:
    logits = logits_of()
    # One step from equal weights, by differences: of the agreement as a function of the parameters.
    slope = np.array(
        [(agreement(logits, _softmax(step)) - agreement(logits, _softmax(-step))) / 2e-6 for step in 1e-6 * np.eye(3)]
    )
    np.testing.assert_allclose(SadeAggregation(steps=1, rate=5).branch_weights(logits), _softmax(5 * slope), rtol=1e-5)


def test_the_expert_that_is_stable_gets_most_weight() -> None:
    logits = logits_of()
    logits[1, 1] = logits[0, 1]  # the second expert says the same of both views
    weights = SadeAggregation().branch_weights(logits)
    assert weights.sum() == pytest.approx(1)
    assert weights.argmax() == 1
    assert weights[1] > 0.6
    assert agreement(logits, weights) > agreement(logits, np.full(3, 1 / 3)) + 0.05


def test_experts_that_are_alike_get_equal_weights() -> None:
    logits = logits_of()
    logits[:] = logits[:, :1]
    np.testing.assert_allclose(SadeAggregation().branch_weights(logits), [1 / 3] * 3)


def test_one_view_has_nothing_to_agree_with() -> None:
    assert SadeAggregation().branch_weights(logits_of()[:1]) is None


def test_more_views_are_compared_in_pairs() -> None:
    logits = logits_of()
    both = np.concatenate([logits, logits[:1]])
    pairs = [(0, 1), (0, 2), (1, 2)]
    weights = np.array([0.2, 0.5, 0.3])
    expected = np.mean([_gradient(both[list(pair)], weights) for pair in pairs], axis=0)
    np.testing.assert_allclose(_gradient(both, weights), expected)
