from __future__ import annotations

import numpy as np
import pytest

from ltbench_plugins.metrics.balanced_accuracy import BalancedAccuracy
from ltbench_plugins.metrics.recall_means import RecallMeans


def means(predicted: list[int], labels: list[int], classes: int) -> dict[str, object]:
    return dict(RecallMeans().compute(np.eye(classes)[predicted], np.array(labels), np.ones(classes, np.int64)))


def test_recalls_of_a_quarter_and_one_by_hand() -> None:
    # sqrt(1/4 * 1) and 2 / (4 + 1); balanced accuracy is 5/8.
    found = means([0, 1, 1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 1, 1, 1, 1], 2)
    assert found == {"geometric_mean": pytest.approx(0.5), "harmonic_mean": pytest.approx(0.4)}


def test_a_class_that_is_never_found_makes_both_zero() -> None:
    assert means([0, 0, 0], [0, 0, 1], 2) == {"geometric_mean": 0, "harmonic_mean": 0}


def test_a_class_without_test_images_is_left_out() -> None:
    assert means([0, 1, 0, 0], [0, 1, 1, 0], 3) == {
        "geometric_mean": pytest.approx(0.5**0.5),
        "harmonic_mean": pytest.approx(2 / 3),
    }


def test_they_are_ordered_as_means_are_and_equal_for_equal_recalls() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 6, 600)
    predicted = np.where(rng.random(600) < 0.3 + 0.1 * labels, labels, (labels + 1) % 6)
    found = means(predicted.tolist(), labels.tolist(), 6)
    arithmetic = BalancedAccuracy().compute(np.eye(6)[predicted], labels, np.ones(6, np.int64))["balanced_accuracy"]
    assert found["harmonic_mean"] < found["geometric_mean"] < arithmetic  # type: ignore[operator]
    assert list(means([0, 1, 1, 0], [0, 0, 1, 1], 2).values()) == pytest.approx([0.5, 0.5])


def test_a_thousand_poor_recalls_do_not_vanish() -> None:
    labels = [label for label in range(1000) for _ in range(2)]
    predicted = [label if number % 2 else (label + 1) % 1000 for number, label in enumerate(labels)]
    assert means(predicted, labels, 1000)["geometric_mean"] == pytest.approx(0.5)
