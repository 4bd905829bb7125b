from __future__ import annotations

import numpy as np
import pytest

from ltbench.stages import Evidence, Predicted
from ltbench_plugins.posthocs.temperature import Temperature

COUNTS = np.array([9, 3])


def fitted(logits: np.ndarray, labels: np.ndarray) -> float:
    given = Evidence(counts=COUNTS, classifier=None, held_out=Predicted(logits=logits, labels=labels))
    return Temperature().fit(given)


def nll(logits: np.ndarray, labels: np.ndarray) -> float:
    log_sum = np.log(np.exp(logits).sum(1))
    return float((log_sum - logits[np.arange(len(labels)), labels]).mean())


def test_by_hand() -> None:
    # Four images with logits (4, 0), of which three are of class 0: the best probability is 3/4, so 4 / T = log 3.
    temperature = fitted(np.array([[4.0, 0.0]] * 4), np.array([0, 0, 0, 1]))
    assert temperature == pytest.approx(4 / np.log(3), rel=1e-12)


def test_no_temperature_near_it_has_a_lower_loss() -> None:
    rng = np.random.default_rng(0)
    logits, labels = 3 * rng.normal(size=(200, 5)), rng.integers(5, size=200)
    logits[np.arange(200), labels] += 2
    temperature = fitted(logits, labels)
    least = nll(logits / temperature, labels)
    assert temperature > 1.5  # these logits are overconfident
    assert all(least < nll(logits / (temperature * factor), labels) for factor in (0.5, 0.99, 1.01, 2))


def test_fitting_again_gives_one() -> None:
    rng = np.random.default_rng(1)
    logits, labels = rng.normal(size=(300, 4)), rng.integers(4, size=300)
    logits[np.arange(300), labels] += 1
    assert fitted(logits / fitted(logits, labels), labels) == pytest.approx(1.0)


def test_a_constant_added_to_the_logits_of_an_image_changes_nothing() -> None:
    rng = np.random.default_rng(2)
    logits, labels = rng.normal(size=(50, 4)), rng.integers(4, size=50)
    shifted = logits + 1000 * rng.normal(size=(50, 1))
    assert fitted(shifted, labels) == pytest.approx(fitted(logits, labels), rel=1e-6)


@pytest.mark.parametrize("label", [0, 1])
def test_images_that_are_all_right_or_all_wrong_have_a_finite_temperature(label: int) -> None:
    temperature = fitted(np.array([[4.0, 0.0]] * 3), np.array([label] * 3))
    assert 0 < temperature < np.inf


def test_classes_stay() -> None:
    logits = np.random.default_rng(3).normal(size=(20, 5))
    adjusted = Temperature().adjust_with(2.5, Predicted(logits=logits), COUNTS, None)
    np.testing.assert_array_equal(adjusted, logits / 2.5)
