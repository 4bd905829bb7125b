from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ltbench.suite.recipe import Recipe, recipe_spec, sweep_recipe
from ltbench.suite.recipe_notes import ema_limit, recipe_notes


def notes(*images: int, **fields: object) -> list[str]:
    return recipe_notes(sweep_recipe(Recipe(steps=600), {name: [value] for name, value in fields.items()})[0], images)


def the_note(*images: int, **fields: object) -> str:
    (note,) = notes(*(images or (1000,)), **fields)
    return note


def test_a_plain_recipe_has_no_notes() -> None:
    assert notes(1000) == []
    assert notes(1000, warmup=0.1, schedule="multistep", milestones=(0.1, 0.8), ema=0.98, nesterov=True) == []


@given(steps=st.integers(2, 10**7))
@settings(deadline=None)
def test_the_largest_decay_of_an_average_is_that_of_timm(steps: int) -> None:
    from timm.utils.model_ema import ModelEmaV3
    from torch import nn

    assert ModelEmaV3(nn.Linear(1, 1), decay=1.0, use_warmup=True).get_decay(steps) == pytest.approx(ema_limit(steps))


@pytest.mark.parametrize(("ema", "reached"), [(0.9, 32), (0.99, 1000), (0.999, 31_623), (0.9999, 1_000_001)])
def test_a_decay_is_noted_up_to_the_step_that_reaches_it(ema: float, reached: int) -> None:
    assert notes(1000, ema=ema, steps=reached + 1) == []
    assert f"ema = {ema} is not reached in {reached - 2:,} steps" in the_note(ema=ema, steps=reached - 2)
    assert notes(1000, ema=ema, ema_warmup=False, steps=2) == []


def test_steps_of_epochs_are_those_of_each_training_subset() -> None:
    # 5 epochs of 8 batches are 40 steps, of 32 batches 160; the last batch of 1,025 images has one and is dropped.
    assert "in 40 to 160 steps" in the_note(1025, 4000, epochs=5, ema=0.99)
    assert "in 40 steps" in the_note(1025, 4000, epochs=5, ema=0.95)  # 0.966 is reached in 160


def test_a_milestone_is_noted_where_no_step_follows_it_or_the_warm_up_covers_it() -> None:
    steps = {"schedule": "multistep", "steps": 10, "warmup": 0.3}
    assert notes(1000, milestones=(0.3, 0.94), **steps) == []  # at the first step after the warm-up, and at the last
    assert the_note(milestones=(0.2,), **steps).startswith("milestone 0.2 has no effect in 10 steps: it is inside")
    assert the_note(milestones=(0.96,), **steps).startswith("milestone 0.96 has no effect in 10 steps: it is after")
    assert the_note(milestones=(0.5,), decay=1.0, **steps).startswith("decay = 1 does not change")


def test_a_warm_up_is_noted_where_it_does_not_rise_or_leaves_nothing() -> None:
    assert (
        the_note(warmup=0.1, steps=14)
        == "warmup = 0.1 is less than two steps in a training of 14 steps: the learning rate does not rise"
    )
    assert notes(1000, warmup=0.1, steps=15) == []
    assert the_note(warmup=0.99, steps=10).endswith(
        "takes all of a training of 10 steps: schedule 'cosine' has no effect"
    )


def test_a_batch_larger_than_the_training_subset_is_noted() -> None:
    assert the_note(100, 127, 128, batch_size=128).endswith("a batch has at most 127 images")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"optimizer": "adam", "momentum": 0.5}, "momentum = 0.5 has no effect: optimizer 'adam'"),
        ({"optimizer": "adamw", "momentum": 0.5}, "momentum = 0.5"),
        ({"optimizer": "rmsprop", "nesterov": True}, "nesterov = true"),
        ({"decay": 0.5}, "decay = 0.5 has no effect: schedule 'cosine' has no milestones"),
        ({"ema_warmup": False}, "ema_warmup = false has no effect"),
    ],
    ids=str,
)
def test_a_field_that_another_one_switches_off_is_noted_and_not_part_of_the_identity(
    fields: dict[str, object], said: str
) -> None:
    assert the_note(**fields).startswith(said)
    (name, _) = list(fields.items())[-1]
    assert name not in recipe_spec(sweep_recipe(Recipe(steps=600), {k: [v] for k, v in fields.items()})[0])


def test_milestones_in_any_order_are_one_recipe() -> None:
    recipes = [Recipe(steps=9, schedule="multistep", milestones=order) for order in ((0.8, 0.5), (0.5, 0.8))]
    assert recipes[0] == recipes[1]
