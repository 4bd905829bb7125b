from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ltbench.engine.schedule import Span, learning_rates, spans
from ltbench.suite.recipe import Recipe

COSINE = Recipe(epochs=10, lr=0.4)


def whole(steps: int) -> Span:
    return Span(first=0, last=steps, total=steps)


def rates(recipe: Recipe, span: Span, *, restart: bool = False, scale: float = 1.0) -> list[float]:
    return list(learning_rates(recipe, span, restart=restart, scale=scale))


def test_epochs_are_batches_of_the_segments_own_sampler() -> None:
    first, second = spans(Recipe(epochs=10), [0.8, 1.0], [12, 5])
    assert len(first) == 96  # 8 epochs of 12 batches
    assert len(second) == 10  # 2 epochs of 5 batches
    assert (second.first, second.total) == (40, 50)  # as if this sampler had been on from the beginning


def test_a_recipe_in_steps_has_that_many_whatever_the_sampler() -> None:
    assert [len(span) for span in spans(Recipe(steps=100), [0.33, 1.0], [12, 5])] == [33, 67]


@given(
    epochs=st.integers(1, 50),
    batches=st.integers(1, 40),
    ends=st.lists(st.floats(0.01, 0.99), min_size=1, max_size=4, unique=True),
)
@settings(deadline=None, max_examples=60)
def test_a_training_that_is_cut_has_the_steps_and_rates_of_the_undivided_one(
    epochs: int, batches: int, ends: list[float]
) -> None:
    recipe = Recipe(epochs=epochs, lr=0.1)
    ends = [*sorted(ends), 1.0]
    parts = spans(recipe, ends, [batches] * len(ends))
    assert sum(map(len, parts)) == epochs * batches
    assert [rate for part in parts for rate in rates(recipe, part)] == rates(recipe, whole(epochs * batches))
    assert spans(recipe, ends[:1], [batches]) == parts[:1]  # what comes later does not matter


def test_cosine_by_its_formula() -> None:
    expected = [0.4 * (1 + math.cos(math.pi * step / 50)) / 2 for step in range(50)]
    assert rates(COSINE, whole(50)) == pytest.approx(expected, rel=1e-9)


def test_a_cosine_that_ends_at_a_share_of_the_peak() -> None:
    recipe = Recipe(epochs=10, lr=0.4, final_lr=0.1)
    expected = [0.04 + 0.36 * (1 + math.cos(math.pi * step / 50)) / 2 for step in range(50)]
    assert rates(recipe, whole(50)) == pytest.approx(expected, rel=1e-9)


def test_a_triangle_by_hand() -> None:
    recipe = Recipe(epochs=10, lr=1.0, schedule="linear", warmup=0.2, final_lr=0.2)
    assert rates(recipe, whole(10)) == pytest.approx([0.5, 0.75, 1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3])


def test_multistep_by_hand() -> None:
    recipe = Recipe(epochs=10, lr=1.0, schedule="multistep", milestones=(0.5, 0.8), decay=0.1)
    assert rates(recipe, whole(10)) == pytest.approx([1] * 5 + [0.1] * 3 + [0.01] * 2)


def test_constant_is_constant() -> None:
    assert rates(Recipe(epochs=10, lr=0.3, schedule="constant"), whole(7)) == [0.3] * 7


def test_warmup_rises_linearly_and_hands_over_to_the_schedule() -> None:
    recipe = Recipe(epochs=10, lr=1.0, warmup=0.4)
    actual = rates(recipe, whole(10))
    assert actual[:4] == pytest.approx([0.25, 0.4375, 0.625, 0.8125])  # from 1/4 to 1 in four steps
    assert actual[4:] == pytest.approx([(1 + math.cos(math.pi * step / 6)) / 2 for step in range(6)])


def test_warmup_keeps_milestones_at_their_fraction_of_the_training() -> None:
    recipe = Recipe(epochs=10, lr=1.0, schedule="multistep", milestones=(0.5,), decay=0.1, warmup=0.2)
    assert rates(recipe, whole(10))[2:] == pytest.approx([1] * 3 + [0.1] * 5)


def test_a_restart_has_the_curve_over_its_own_span() -> None:
    span = Span(first=30, last=50, total=100)
    assert rates(COSINE, span, restart=True) == rates(COSINE, whole(20))
    assert rates(COSINE, span) == rates(COSINE, whole(100))[30:50]


def test_a_scale_multiplies() -> None:
    assert rates(COSINE, whole(8), scale=0.5) == pytest.approx([rate / 2 for rate in rates(COSINE, whole(8))])
