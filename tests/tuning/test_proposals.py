"""The trials of a row: which values, and that they are the same for everyone."""

from __future__ import annotations

import itertools
import math
from typing import Annotated, Literal

import pytest

from ltbench import Meta, NotTuned, Tune
from ltbench.errors import LtbenchError, ParameterError, PluginError
from ltbench.planning.combinations import Combination
from ltbench.stages import Loss, Posthoc, View
from ltbench.suite.recipe import Recipe
from ltbench.suite.tuning import Tuning
from ltbench.tuning.proposals import Proposals
from ltbench.tuning.space import Point, Space

RECIPE = Recipe(epochs=2, lr=0.1, weight_decay=0.0004)


class Sharp(Loss):
    name = "sharp"

    gamma: Annotated[float, Meta(ge=0), Tune(0.5, 4.0)] = 2.0
    steps: Annotated[int, Meta(ge=1), NotTuned("it decides the cost")] = 3


class Shift(Posthoc):
    name = "shift"

    tau: Annotated[Annotated[float, Meta(ge=0)] | Literal["held_out"], Tune(0.5, 2.0)] = 1.0


class Vote(View):
    name = "vote"

    by: Annotated[Literal["mean", "vote"], Meta(description="rule"), Tune("mean", "vote")] = "mean"


class Bounded(Loss):
    """Refuses some values of its parameters together."""

    name = "bounded"

    low: Annotated[float, Meta(ge=0), Tune(0.0, 1.0)] = 0.2
    high: Annotated[float, Meta(ge=0), Tune(0.0, 1.0)] = 0.8

    def check(self) -> None:
        if self.low >= self.high:
            raise ParameterError("low is above high")


class Strict(Loss):
    """Refuses values in place of the check that it could override."""

    name = "strict"

    gamma: Annotated[float, Meta(ge=0), Tune(0.5, 4.0)] = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.gamma > 2:
            raise ValueError("gamma is above 2")


class Mistaken(Loss):
    """Has a mistake that only some values show."""

    name = "mistaken"

    gamma: Annotated[float, Meta(ge=0), Tune(0.5, 4.0)] = 1.0

    def check(self) -> None:
        if self.gamma > 2:
            raise KeyError("gamma")


class Narrow(Loss):
    name = "same"
    qualified = "one-pkg/same"

    factor: Annotated[float, Meta(ge=0, le=1), Tune(0.0, 1.0)] = 0.5


class Wide(Posthoc):
    name = "same"
    qualified = "two-pkg/same"

    factor: Annotated[float, Meta(ge=10, le=20), Tune(10.0, 20.0)] = 15.0


def space(*techniques: object, recipe: Recipe = RECIPE, **tuning: object) -> Space:
    return Space(Combination(tuple(techniques)), recipe, Tuning(**({"trials": 9} | tuning)))


def trials(of: Space, **tuning: object) -> list[Point]:
    """Return the trials of a space, each batch told scores that grow with the learning rate."""
    proposals = Proposals(of, Tuning(**({"trials": 9} | tuning)))
    while proposals.batch():
        proposals.tell([point.recipe.lr for point in proposals.trials])
    return proposals.trials


def test_the_first_trial_has_the_defaults() -> None:
    first, *others = trials(space(Sharp()))
    assert first == Point(Combination((Sharp(),)), RECIPE, {})
    assert len(others) == 8
    assert all(set(point.values) == {"lr", "weight_decay", "sharp.gamma"} for point in others)


def test_values_lie_in_their_ranges_and_reach_what_is_trained() -> None:
    for point in trials(space(Sharp(), Vote()), trials=33)[1:]:
        assert 0.025 <= point.recipe.lr <= 0.4
        assert 0.0001 <= point.recipe.weight_decay <= 0.0016
        loss, view = point.combination.techniques
        assert loss == Sharp(gamma=point.values["sharp.gamma"])
        assert 0.5 <= loss.gamma <= 4.0
        assert view.by == point.values["vote.by"]
        assert point.recipe == Recipe(epochs=2, lr=point.values["lr"], weight_decay=point.values["weight_decay"])


@pytest.mark.parametrize("sampler", ["quasi_random", "tpe"])
def test_two_techniques_of_one_name_have_values_of_their_own(sampler: str) -> None:
    if sampler == "tpe":
        pytest.importorskip("optuna")
    points = trials(space(Narrow(), Wide()), sampler=sampler)[1:]
    assert len(points) == 8
    for point in points:
        loss, posthoc = point.combination.techniques
        assert loss == Narrow(factor=point.values["one-pkg/same.factor"])
        assert posthoc == Wide(factor=point.values["two-pkg/same.factor"])


def test_quasi_random_trials_cover_every_range_evenly() -> None:
    points = trials(space(Sharp(), Vote()), trials=33)[1:]
    # 32 points of a Sobol sequence: each half of a range has 15 to 17 of them, wherever the shift begins.
    low = {"lr": 0.1, "weight_decay": 0.0004, "sharp.gamma": 2.25}
    for name, middle in low.items():
        assert 14 <= sum(point.values[name] < middle for point in points) <= 18, name
    assert 14 <= sum(point.values["vote.by"] == "mean" for point in points) <= 18


def test_rows_share_the_values_of_what_they_have_in_common() -> None:
    alone, sharp, both = (trials(space(*techniques)) for techniques in ((), (Sharp(),), (Sharp(), Vote())))
    assert [point.recipe for point in alone] == [point.recipe for point in sharp] == [point.recipe for point in both]
    other = trials(space(Vote()))
    assert [point.recipe for point in other] == [point.recipe for point in alone]


def test_another_seed_gives_other_trials_and_the_same_one_the_same() -> None:
    assert trials(space(Sharp()), seed=1) == trials(space(Sharp()), seed=1) != trials(space(Sharp()), seed=2)


def test_more_trials_begin_with_the_same_ones() -> None:
    assert trials(space(Sharp()), trials=20)[:9] == trials(space(Sharp()), trials=9)


def test_no_trial_is_proposed_twice_and_a_small_space_has_fewer() -> None:
    only_switch = Space(Combination((Vote(),)), RECIPE, Tuning(trials=9, recipe={}))
    assert [point.values for point in trials(only_switch)] == [{}, {"vote.by": "vote"}]
    points = trials(space(Vote()), trials=40)
    assert len({(point.combination, point.recipe) for point in points}) == 40
    assert trials(Space(Combination(), RECIPE, Tuning(trials=9, recipe={}))) == [Point(Combination(), RECIPE, {})]


def test_values_that_a_technique_refuses_together_are_skipped() -> None:
    points = trials(space(Bounded()), trials=20)
    assert len(points) == 20
    assert all(point.combination.techniques[0].low < point.combination.techniques[0].high for point in points)


def test_values_that_a_technique_refuses_by_itself_are_skipped_and_named() -> None:
    refusing = space(Strict())
    assert refusing.notes == ["strict.gamma is tuned over a part of Tune(0.5, 4.0), as 4 is refused"]
    gammas = [point.combination.techniques[0].gamma for point in trials(refusing, trials=20)]
    assert len(gammas) == 20
    assert max(gammas) <= 2
    with pytest.raises(ParameterError, match="loss 'strict' does not accept its parameters together: gamma is above 2"):
        Strict(gamma=3)


def test_a_technique_that_fails_on_a_value_is_named_and_not_skipped() -> None:
    with pytest.raises(PluginError, match="loss 'mistaken' fails on its parameters") as error:
        _ = space(Mistaken()).notes
    assert error.value.why == "KeyError: 'gamma'"


def test_a_value_outside_the_range_is_left_as_it_is() -> None:
    assert {point.combination.techniques[0].tau for point in trials(space(Shift(tau="held_out")))} == {"held_out"}
    assert len({point.combination.techniques[0].tau for point in trials(space(Shift()))}) > 5


def test_a_weight_decay_of_zero_is_not_tuned_unless_a_range_is_given() -> None:
    none = Recipe(epochs=2, lr=0.1, weight_decay=0.0)
    assert {point.recipe.weight_decay for point in trials(space(recipe=none))} == {0.0}
    asked = Space(Combination(), none, Tuning(trials=9, recipe={"weight_decay": (0.001, 0.1)}))
    assert all(0.001 <= point.recipe.weight_decay <= 0.1 for point in trials(asked)[1:])
    assert {point.recipe.lr for point in trials(asked)} == {0.1}


def test_tpe_goes_on_from_the_scores_in_fixed_batches() -> None:
    pytest.importorskip("optuna")
    made = trials(space(Sharp()), sampler="tpe", trials=12, batch=4)
    assert made == trials(space(Sharp()), sampler="tpe", trials=12, batch=4)
    # The first batch is that of the quasi-random trials.
    assert made[:4] == trials(space(Sharp()))[:4]
    assert len(made) == 12

    def with_scores(score: float) -> list[Point]:
        proposals = Proposals(space(Sharp()), Tuning(trials=12, sampler="tpe", batch=4))
        while proposals.batch():
            proposals.tell([score * point.recipe.lr for point in proposals.trials])
        return proposals.trials

    assert with_scores(1.0) == made != with_scores(-1.0)


def test_tpe_finds_where_scores_are_high() -> None:
    pytest.importorskip("optuna")
    # Scores grow with the learning rate. Quasi-random ones have a mean of 0.135.
    rates = [point.recipe.lr for point in trials(space(Sharp()), sampler="tpe", trials=40, batch=5)]
    assert sum(rates[20:]) / 20 > 0.2


def test_tpe_survives_failed_trials() -> None:
    pytest.importorskip("optuna")
    proposals = Proposals(space(Sharp()), Tuning(trials=8, sampler="tpe", batch=2))
    for number in itertools.count():
        if not proposals.batch():
            break
        proposals.tell([None if place % 2 else 0.5 for place in range(len(proposals.trials))])
        assert number < 8
    assert len(proposals.trials) == 8


@pytest.mark.parametrize(
    "wrong",
    [
        {"trials": 1},
        {"trials": 4, "recipe": {"lr": (0.2, 0.1)}},
        {"trials": 4, "recipe": {"lr": (0.2, math.inf)}},
        {"trials": 4, "batch": 3},
        {"trials": 4, "sampler": "tpe", "batch": 4},
        {"trials": 100_001},
        {"trials": 4, "on": "test"},
    ],
)
def test_settings_that_mean_nothing_are_refused(wrong: dict[str, object]) -> None:
    import msgspec

    with pytest.raises((LtbenchError, msgspec.ValidationError)):
        msgspec.convert(wrong, Tuning)
