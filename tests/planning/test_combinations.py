from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltbench.errors import UsageError
from ltbench.planning.combinations import Combination, LeftOut, combine
from ltbench.stages import Loss, Mix, Sampler, Technique, View


class SamplerA(Sampler):
    name = "sampler_a"


class MixA(Mix):
    name = "mix_a"
    conflicts = {"loss_a": "both soften labels"}


class MixB(Mix):
    name = "mix_b"
    needs = {"sampler": "it is made for balanced batches"}


class LossA(Loss):
    name = "loss_a"
    gamma: float = 1.0


class ViewA(View):
    name = "view_a"
    doubtful = {"mix_b": "both blur"}


def labels(*techniques: Technique, **options: object) -> list[str]:
    return [c.label for c in combine(techniques, **options) if isinstance(c, Combination)]


def test_every_subset_of_four_stages_is_run_the_simple_ones_first() -> None:
    found = labels(SamplerA(), LossA(), ViewA())
    assert found == [
        "baseline",
        "sampler_a",
        "loss_a",
        "view_a",
        "sampler_a + loss_a",
        "sampler_a + view_a",
        "loss_a + view_a",
        "sampler_a + loss_a + view_a",
    ]


def test_techniques_of_one_stage_are_alternatives() -> None:
    assert labels(LossA(), LossA(gamma=2.0)) == ["baseline", "loss_a", "loss_a[gamma=2]"]


@given(st.permutations([SamplerA(), LossA(), LossA(gamma=2.0), ViewA(), MixA()]))
def test_the_order_in_which_techniques_are_named_changes_nothing(techniques: list[Technique]) -> None:
    assert labels(*techniques) == labels(SamplerA(), LossA(), LossA(gamma=2.0), ViewA(), MixA())


def test_a_conflict_is_left_out_with_its_reason() -> None:
    out = [c for c in combine([MixA(), LossA()]) if isinstance(c, LeftOut)]
    assert [(o.combination.label, o.reason) for o in out] == [
        ("mix_a + loss_a", "mix_a cannot be combined with loss_a: both soften labels")
    ]


def test_a_technique_that_is_pointless_alone_is_left_out_with_the_reason() -> None:
    out = {c.combination.label: c.reason for c in combine([MixB(), SamplerA()]) if isinstance(c, LeftOut)}
    assert out == {"mix_b": "mix_b needs a technique of stage sampler: it is made for balanced batches"}


def test_a_doubtful_pair_runs_with_a_note() -> None:
    combination = Combination((SamplerA(), MixB(), ViewA()))
    assert combination.notes == ["view_a with mix_b: both blur"]


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("each", ["baseline", "sampler_a", "loss_a", "view_a"]),
        ("pairs", ["baseline", "sampler_a", "loss_a", "view_a", "sampler_a + loss_a", "sampler_a + view_a",
                   "loss_a + view_a"]),
        ("cumulative", ["baseline", "loss_a", "sampler_a + loss_a", "sampler_a + loss_a + view_a"]),
        ("leave-one-out", ["baseline", "sampler_a + view_a", "loss_a + view_a", "sampler_a + loss_a",
                           "sampler_a + loss_a + view_a"]),
    ],
)  # fmt: skip
def test_strategies(strategy: str, expected: list[str]) -> None:
    assert labels(LossA(), SamplerA(), ViewA(), strategy=strategy) == expected


def test_a_stack_of_two_techniques_of_one_stage_is_refused() -> None:
    with pytest.raises(UsageError, match="both of stage loss"):
        list(combine([LossA(), LossA(gamma=2.0)], "cumulative"))


def test_max_techniques_cuts_the_grid() -> None:
    assert max(label.count("+") for label in labels(SamplerA(), LossA(), ViewA(), max_techniques=2)) == 1


def make_baseline() -> Callable[[], Sampler]:
    class Plain(Sampler):
        name = "plain"
        baseline = True

    return Plain


def test_a_baseline_named_among_the_techniques_adds_nothing() -> None:
    assert labels(make_baseline()(), LossA()) == ["baseline", "loss_a"]
