from __future__ import annotations

import math

import numpy as np
import pytest

from ltbench_plugins.metrics.calibration import Calibration

COUNTS = np.array([10, 10])


def binary(confidences: list[float], correct: list[bool]) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities of two classes whose first one is predicted, and labels that make it right or wrong."""
    first = np.array(confidences)
    return np.stack([first, 1 - first], axis=1), np.where(correct, 0, 1)


def test_ece_worked_by_hand() -> None:
    probabilities, labels = binary([0.95, 0.95, 0.65, 0.55], [True, False, True, True])
    # Bins (14/15, 1], (9/15, 10/15], (8/15, 9/15]: gaps |1 - 1.9|, |1 - 0.65|, |1 - 0.55| over four images.
    assert Calibration().compute(probabilities, labels, COUNTS)["ece"] == pytest.approx((0.9 + 0.35 + 0.45) / 4)


def test_a_confidence_on_an_edge_is_in_the_bin_below() -> None:
    probabilities, labels = binary([0.5, 0.6], [True, False])
    # In one bin together the two would give |1 - 1.1| / 2 = 0.05.
    assert Calibration(bins=2).compute(probabilities, labels, COUNTS)["ece"] == pytest.approx((0.5 + 0.6) / 2)


def test_sure_and_right_is_calibrated_and_sure_and_wrong_is_not() -> None:
    probabilities, labels = binary([1.0, 1.0], [True, True])
    assert Calibration().compute(probabilities, labels, COUNTS)["ece"] == 0.0
    assert Calibration().compute(probabilities, 1 - labels, COUNTS)["ece"] == 1.0


@pytest.mark.parametrize(
    ("confidences", "correct", "doublings"), [([0.5, 0.25], [True, True], 1.5), ([1.0], [False], 52)]
)
def test_nll_is_the_mean_negative_logarithm_of_the_true_class_and_finite(confidences, correct, doublings) -> None:
    probabilities, labels = binary(confidences, correct)
    assert Calibration().compute(probabilities, labels, COUNTS)["nll"] == pytest.approx(doublings * math.log(2))
