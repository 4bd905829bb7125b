from __future__ import annotations

import pytest
from plugins.updates.steps import stepped
from torch import Tensor

from ltbench_plugins.updates.sam import Sam


def quadratic(weights: Tensor) -> Tensor:
    """1/2 (w1^2 + 4 w2^2), the same for each of two samples; its gradient is (w1, 4 w2)."""
    return (0.5 * (weights[0] ** 2 + 4 * weights[1] ** 2)).expand(2)


def test_the_gradient_is_taken_at_the_worst_point_nearby() -> None:
    # At (3, 1) the gradient is (3, 4), of norm 5; rho = 0.5 leads to (3.3, 1.4), where it is (3.3, 5.6).
    after, seen = stepped(Sam(rho=0.5), quadratic, [3.0, 1.0], [0, 1])
    assert seen == [[3.0, 1.0], [pytest.approx(3.3), pytest.approx(1.4)]]
    assert after == pytest.approx([3.0 - 0.33, 1.0 - 0.56])


def test_with_a_tiny_rho_it_is_plain_gradient_descent() -> None:
    after, _ = stepped(Sam(rho=1e-9), quadratic, [3.0, 1.0], [0, 1])
    assert after == pytest.approx([3.0 - 0.3, 1.0 - 0.4])


def test_at_a_minimum_nothing_moves() -> None:
    after, _ = stepped(Sam(), quadratic, [0.0, 0.0], [0, 1])
    assert after == [0.0, 0.0]
