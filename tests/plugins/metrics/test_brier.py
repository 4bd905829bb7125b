from __future__ import annotations

import numpy as np
import pytest

from ltbench_plugins.metrics.brier import Brier

COUNTS = np.ones(3, np.int64)


def brier(probabilities: list[list[float]], labels: list[int]) -> object:
    return Brier().compute(np.array(probabilities), np.array(labels), COUNTS)["brier"]


def test_by_hand() -> None:
    # 0.3^2 + 0.2^2 + 0.1^2 = 0.14 and 0.5^2 + 0.25^2 + 0.75^2 = 0.875.
    assert brier([[0.7, 0.2, 0.1], [0.5, 0.25, 0.25]], [0, 2]) == pytest.approx((0.14 + 0.875) / 2)


def test_its_ends_are_zero_and_two_and_equal_probabilities_are_between() -> None:
    assert brier([[1, 0, 0]], [0]) == 0
    assert brier([[1, 0, 0]], [1]) == 2
    assert brier([[1 / 3] * 3], [1]) == pytest.approx(2 / 3)


def test_of_two_classes_it_is_twice_the_one_of_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(1)
    first, labels = rng.random(50), rng.integers(0, 2, 50)
    found = Brier().compute(np.stack([1 - first, first], 1), labels, COUNTS[:2])["brier"]
    assert found == pytest.approx(2 * metrics.brier_score_loss(labels, first))
