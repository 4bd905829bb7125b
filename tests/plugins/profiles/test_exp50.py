from __future__ import annotations

import pytest

from ltbench_plugins.profiles.exp50 import Exp50


@pytest.mark.parametrize(
    ("factor", "middle", "last"),
    # Report jiang, u = 0.1, 0.02, 0.005: 500 u^0.5 and 500 u^0.98 by hand.
    [(10, 158, 52), (50, 70, 10), (200, 35, 2)],
)
def test_the_formula_of_the_report(factor: float, middle: int, last: int) -> None:
    counts = Exp50().counts([500] * 50, factor)
    assert len(counts) == 50
    assert (counts[0], counts[25], counts[49]) == (500, middle, last)
    assert counts == sorted(counts, reverse=True)


def test_the_last_class_does_not_reach_the_factor() -> None:
    assert Exp50().counts([1000, 1000], 100) == [1000, 100]


def test_factor_one_and_a_single_class_keep_everything() -> None:
    assert Exp50().counts([500] * 4, 1) == [500] * 4
    assert Exp50().counts([7], 100) == [7]


def test_an_unbalanced_data_set_is_never_asked_for_more_than_it_has() -> None:
    available = [40, 500, 30]
    counts = Exp50().counts(available, 10)
    assert all(kept <= there for kept, there in zip(counts, available, strict=True))
    assert counts[0] == 40
