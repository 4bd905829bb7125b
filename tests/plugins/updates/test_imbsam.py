from __future__ import annotations

import pytest
import torch
from plugins.updates.steps import stepped
from torch import Tensor

from ltbench_plugins.updates.imbsam import Imbsam
from ltbench_plugins.updates.sam import Sam


def losses(weights: Tensor) -> Tensor:
    """Two samples: w1^2 of the head class, 2 w1^2 + w2^2 of the tail class."""
    return torch.stack([weights[0] ** 2, 2 * weights[0] ** 2 + weights[1] ** 2])


def test_only_the_gradient_of_tail_classes_is_taken_at_the_worst_point() -> None:
    # At (1.5, 4), with the mean of two samples: head (1.5, 0); tail (3, 4), of norm 5, so rho = 0.5 leads to (1.8, 4.4),
    # where the tail has (3.6, 4.4).
    after, seen = stepped(Imbsam(rho=0.5, tail=0.5), losses, [1.5, 4.0], [0, 1])
    assert seen == [[1.5, 4.0], [1.5, 4.0], [pytest.approx(1.8), pytest.approx(4.4)]]
    assert after == pytest.approx([1.5 - 0.1 * (1.5 + 3.6), 4.0 - 0.1 * 4.4])


def test_with_images_of_tail_classes_only_it_is_sharpness_aware_minimisation() -> None:
    expected, _ = stepped(Sam(rho=0.5), losses, [1.5, 4.0], [1, 1])
    after, _ = stepped(Imbsam(rho=0.5, tail=0.5), losses, [1.5, 4.0], [1, 1])
    assert after == pytest.approx(expected)


def test_without_an_image_of_a_tail_class_it_is_plain_gradient_descent() -> None:
    after, _ = stepped(Imbsam(rho=0.5, tail=0.5), losses, [1.5, 4.0], [0, 0])
    assert after == pytest.approx([1.5 - 0.1 * 4.5, 4.0 - 0.1 * 4.0])
