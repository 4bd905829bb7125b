from __future__ import annotations

import numpy as np
import pytest

from ltbench.longtail import shifted_prior
from ltbench_plugins.metrics.balanced_accuracy import BalancedAccuracy
from ltbench_plugins.metrics.test_shift import ShiftedTest

COUNTS = np.array([30, 100, 10])
LABELS = np.array([0, 0, 0, 0, 1, 1, 2])


def numbers(predicted: list[int], labels: np.ndarray = LABELS, counts: np.ndarray = COUNTS) -> dict[str, float]:
    return dict(ShiftedTest().compute(np.eye(len(counts))[predicted], labels, counts))


def test_recalls_weighted_by_the_stated_prior_by_hand() -> None:
    # Recalls 3/4, 1/2 and 0; the order by training images is 1, 0, 2, with shares 25, 5 and 1 at ratio 25.
    found = numbers([0, 0, 0, 1, 1, 2, 0])
    assert found["forward_25"] == pytest.approx((25 * 1 / 2 + 5 * 3 / 4) / 31)
    assert found["backward_25"] == pytest.approx((1 * 1 / 2 + 5 * 3 / 4 + 25 * 0) / 31)
    assert found["uniform"] == pytest.approx((3 / 4 + 1 / 2) / 3)


def test_shares_are_geometric_with_the_ratio_from_first_to_last() -> None:
    shares = shifted_prior([9, 8, 7, 6, 5], 50)
    assert shares[0] / shares[-1] == pytest.approx(50)
    np.testing.assert_allclose(np.diff(np.log(shares)), np.log(50) / -4)
    assert shifted_prior([9, 8, 7, 6, 5], 1 / 50) == pytest.approx(shares[::-1])
    assert shifted_prior([3, 3], 1) == [0.5, 0.5]
    assert shifted_prior([7], 50) == [1.0]


def test_a_perfect_classifier_has_one_everywhere_and_uniform_is_balanced_accuracy() -> None:
    assert set(numbers(LABELS.tolist()).values()) == {1.0}
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=50)
    probabilities = rng.random((50, 3))
    balanced = BalancedAccuracy().compute(probabilities, labels, COUNTS)["balanced_accuracy"]
    found = ShiftedTest().compute(probabilities, labels, COUNTS)
    assert found["uniform"] == pytest.approx(balanced)


def test_only_the_head_being_right_favours_forward_shifts() -> None:
    found = numbers([1] * 7)
    forward = [found[f"forward_{ratio}"] for ratio in (2, 5, 10, 25, 50)]
    backward = [found[f"backward_{ratio}"] for ratio in (2, 5, 10, 25, 50)]
    assert forward == sorted(forward)
    assert backward == sorted(backward, reverse=True)
    assert forward[0] > found["uniform"] > backward[0]


def test_classes_without_test_images_are_left_out() -> None:
    found = numbers([0, 0, 0, 1, 1, 2], LABELS[:6])
    assert found["forward_25"] == pytest.approx((25 * 1 / 2 + 5 * 3 / 4) / 30)
