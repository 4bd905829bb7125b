"""What is worth tuning of a parameter."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Literal

import pytest

from ltbench import Loss, Meta, NotTuned, Tune
from ltbench.errors import UsageError
from ltbench.registry.parameter_help import parameters
from ltbench.technique import fields
from ltbench.tune import declared, has_range, is_whole, tuned_parameters
from ltbench_plugins.weights.ens import Ens


class Many(Loss, frozen=True):
    """Have a parameter of each kind."""

    name = "many"
    real: Annotated[float, Meta(ge=0), Tune(0.0, 2.0)] = 1.0
    count: Annotated[int, Meta(ge=0), Tune(1, 8, log=True)] = 2
    automatic: Annotated[float, NotTuned("None means automatic")] | None = None
    optional: Annotated[int, Tune(1, 3)] | None = None
    mode: Annotated[Annotated[float, Meta(ge=0)] | Literal["auto"], Tune(0.5, 1.0)] = 1.0
    word: Literal["a", "b"] = "a"
    switch: Annotated[bool, Tune(False, True)] = False
    several: tuple[Annotated[float, Meta(gt=0), Tune(1.0, 2.0)], ...] = ()
    listed: Literal[10, 20] = 10


@pytest.mark.parametrize(
    ("place", "value"), [(0.0, 0.5), (0.25, 1.5), (0.5, 2.5), (1 / 3, 1.83), (0.9, 4.1), (1.0, 4.5)]
)
def test_a_range_is_spread_evenly_to_both_ends_with_three_digits(place: float, value: float) -> None:
    assert Tune(0.5, 4.5).at(place) == value


@pytest.mark.parametrize(("place", "value"), [(0.0, 0.001), (0.25, 0.00316), (0.5, 0.01), (0.75, 0.0316), (1.0, 0.1)])
def test_log_spreads_magnitudes_evenly(place: float, value: float) -> None:
    assert Tune(0.001, 0.1, log=True).at(place) == value


def test_a_range_may_be_negative() -> None:
    assert [Tune(-0.6, -0.1).at(place) for place in (0, 0.5, 1.0)] == [-0.6, -0.35, -0.1]


def test_rounding_does_not_lead_out_of_a_range() -> None:
    narrow = Tune(0.9994, 0.9996)
    assert {narrow.at(place / 99) for place in range(99)} == {0.9994, 0.9996}


@pytest.mark.parametrize("log", [False, True])
def test_whole_numbers_are_integers_up_to_both_ends(log: bool) -> None:
    values = [Tune(1, 4, log=log).at(place / 1000, whole=True) for place in range(1000)]
    assert {type(value) for value in values} == {int}
    # Evenly: one in four each. By logarithms, between 0.5 and 4.5: log 3 / log 9 for the first, log(4.5 / 3.5) / log 9 for the last.
    shares = {1: 0.5, 2: 0.2325, 3: 0.1531, 4: 0.1144} if log else dict.fromkeys((1, 2, 3, 4), 0.25)
    assert {value: count / 1000 for value, count in Counter(values).items()} == pytest.approx(shares, abs=0.002)


def test_ends_between_integers_are_no_values_of_an_integer() -> None:
    assert {Tune(0.5, 3.5).at(place / 100, whole=True) for place in range(100)} == {1, 2, 3}


@pytest.mark.parametrize(
    "tune",
    [Tune("mean", "vote", "sum"), Tune(choices=(0.9, 0.99, 0.9999)), Tune(choices=(1, 8, 2)), Tune(0.5, "auto", 1)],
)
def test_each_alternative_has_an_equal_share_as_it_is(tune: Tune) -> None:
    assert not tune.is_range
    assert [tune.at(place) for place in (0, 0.33, 0.34, 0.66, 0.67, 1.0)] == [
        value for value in tune.values for _ in range(2)
    ]
    assert [tune.at(place, whole=True) for place in (0, 0.5, 1.0)] == list(tune.values)


def test_switches_are_alternatives() -> None:
    assert [Tune(False, True).at(place) for place in (0.49, 0.5)] == [False, True]


@pytest.mark.parametrize(
    ("tune", "inside", "outside"),
    [
        (Tune(0.5, 4), (0.5, 1, 4.0), (0.49, 4.01, True, "1", None)),
        (Tune("mean", "vote"), ("mean", "vote"), ("sum", 0, None)),
        (Tune(choices=(0.9, 0.99)), (0.9, 0.99), (0.95, None)),
    ],
)
def test_values_that_are_tried(tune: Tune, inside: tuple[object, ...], outside: tuple[object, ...]) -> None:
    assert all(map(tune.contains, inside))
    assert not any(map(tune.contains, outside))


@pytest.mark.parametrize(
    "tune", [Tune(0.5, 4), Tune(0.001, 0.1, log=True), Tune("mean", "vote"), Tune(True, False), Tune(choices=(1, 2, 5))]
)
def test_it_prints_as_it_is_written(tune: Tune) -> None:
    again = eval(repr(tune), {"Tune": Tune})
    assert (again.values, again.log, again.is_range) == (tune.values, tune.log, tune.is_range)


@pytest.mark.parametrize(
    ("values", "more", "what"),
    [
        ((), {}, "two ends"),
        ((1.0,), {}, "two ends"),
        ((1.0, 1.0), {}, "two ends"),
        ((2.0, 1.0), {}, "two ends"),
        ((0.0, float("nan")), {}, "two ends"),
        ((0.0, float("inf")), {}, "two ends"),
        ((float("-inf"), 0.0), {}, "two ends"),
        ((0.5, 1.0, 2.0), {}, "two ends"),
        ((0.0, 1.0), {"log": True}, "two ends"),
        ((-2.0, -1.0), {"log": True}, "two ends"),
        (("mean",), {}, "two or more"),
        (("mean", "mean"), {}, "two or more"),
        (("mean", "vote"), {"log": True}, "two or more"),
        ((), {"choices": (0.9,)}, "two or more"),
        ((), {"choices": (0.9, 0.9)}, "two or more"),
        ((), {"choices": (0.9, 0.99), "log": True}, "two or more"),
        ((0.5, 1.0), {"choices": (0.9, 0.99)}, "not both"),
    ],
)
def test_what_is_no_range_and_no_alternatives_is_refused(values: tuple[float, ...], more: dict, what: str) -> None:
    with pytest.raises(UsageError, match=what):
        Tune(*values, **more)


def test_what_parameters_say_is_found_in_their_types() -> None:
    assert list(tuned_parameters(Many)) == ["real", "count", "optional", "mode", "switch"]
    kinds = {field.name: field.type for field in fields(Many)}
    assert isinstance(declared(kinds["automatic"]), NotTuned)
    assert [name for name, kind in kinds.items() if has_range(kind)] == [
        "real",
        "count",
        "automatic",
        "optional",
        "mode",
    ]
    assert [name for name in kinds if is_whole(Many, name)] == ["count", "optional"]


def test_parameters_are_described_with_what_is_tuned() -> None:
    assert {one.name: one.tuned for one in parameters(Many)} == {
        "real": "0 to 2", "count": "1 to 8 (log)", "automatic": "", "optional": "1 to 3", "mode": "0.5 to 1",
        "word": "", "switch": "false | true", "several": "", "listed": "",
    }  # fmt: skip
    assert [one.tuned for one in parameters(Ens)] == ["", "mean | weighted_mean", "0.9 | 0.99 | 0.999 | 0.9999"]
