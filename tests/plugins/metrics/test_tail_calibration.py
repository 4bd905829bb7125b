from __future__ import annotations

import numpy as np
import pytest

from ltbench_plugins.metrics.calibration import Calibration
from ltbench_plugins.metrics.tail_calibration import TailCalibration


def test_by_hand() -> None:
    # Three classes, the tail third is the last. Its images: 0.9 for itself, right; 0.8 for another class, wrong.
    probabilities = np.array([[0.9, 0.1, 0.0], [0.05, 0.05, 0.9], [0.8, 0.1, 0.1], [0.0, 1.0, 0.0]])
    labels = np.array([0, 2, 2, 0])
    found = TailCalibration().compute(probabilities, labels, np.array([90, 50, 3]))
    assert found["tail_ece"] == pytest.approx((0.1 + 0.8) / 2)


def test_of_the_images_of_the_tail_alone_it_is_the_error_of_calibration() -> None:
    rng = np.random.default_rng(0)
    probabilities, labels = rng.dirichlet(np.ones(9), 500), rng.integers(0, 9, 500)
    counts = np.arange(90, 0, -10)
    tail = labels >= 6
    found = TailCalibration().compute(probabilities, labels, counts)["tail_ece"]
    assert found == Calibration().compute(probabilities[tail], labels[tail], counts)["ece"]
    assert found != pytest.approx(Calibration().compute(probabilities, labels, counts)["ece"])


def test_without_images_of_the_tail_there_is_no_number() -> None:
    assert TailCalibration().compute(np.eye(3)[[0, 1]], np.array([0, 1]), np.array([9, 5, 1])) == {"tail_ece": None}
