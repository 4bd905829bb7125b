from __future__ import annotations

import numpy as np
import pytest
from ltbench.testing import checks

from ltbench_gmean.gmean import Gmean

test_gmean = checks(Gmean)


def gmean(metric: Gmean, predicted: list[int], labels: list[int], classes: int = 2) -> object:
    found = metric.compute(np.eye(classes)[predicted], np.array(labels), np.full(classes, 5))
    assert list(found) == ["gmean"]
    return found["gmean"]


def test_recalls_of_a_quarter_and_one_have_the_mean_of_a_half() -> None:
    # sqrt(1/4 * 1) = 1/2; the accuracy is 5/8.
    assert gmean(Gmean(), [0, 1, 1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 1, 1, 1, 1]) == pytest.approx(0.5)


def test_three_classes_take_the_cube_root() -> None:
    # Recalls of 1, 1/2 and 1/4: the cube root of 1/8.
    assert gmean(Gmean(), [0, 0, 0, 0, 1, 1, 0, 0, 2, 0, 0, 0], [0] * 4 + [1] * 4 + [2] * 4, 3) == pytest.approx(0.5)


def test_a_class_that_is_never_found_makes_it_zero() -> None:
    assert gmean(Gmean(), [0, 0, 0], [0, 0, 1]) == 0
    # sqrt(1 * 0.01) = 0.1.
    assert gmean(Gmean(least=0.01), [0, 0, 0], [0, 0, 1]) == pytest.approx(0.1)


def test_a_class_without_test_images_is_left_out() -> None:
    assert gmean(Gmean(), [0, 1, 0, 0], [0, 1, 1, 0], 3) == pytest.approx(0.5**0.5)


def test_a_thousand_poor_recalls_do_not_vanish() -> None:
    labels = [label for label in range(1000) for _ in range(2)]
    predicted = [label if number % 2 else (label + 1) % 1000 for number, label in enumerate(labels)]
    assert gmean(Gmean(), predicted, labels, 1000) == pytest.approx(0.5)
