"""Phases that end after 1, or change what learns: their segments, what they share, what cannot be planned."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from planning.test_plan import Few, Net
from support import registry_with

from ltbench import Phase, Regime
from ltbench.core.spec import Job, label_of
from ltbench.planning.parts import make_plan, plan_parts
from ltbench.planning.plan import Plan
from ltbench.registry.registry import Registry
from ltbench.suite.suite import changed, find_suite


class Second(Regime):
    """A second stage after the training."""

    name = "second"
    until: float = 1.05
    restart: bool = True
    loss: str = "focal"

    def phases(self) -> Sequence[Phase]:
        second = Phase(
            until=self.until, sampler="cb_sampler", mix=False, loss=self.loss, trainable="classifier",
            restart=self.restart, classifier="fresh", batch_norm="statistics", max_norm=0.1, weight_decay_scale=2,
        )  # fmt: skip
        return [Phase(until=1.0), second]


class Across(Regime):
    """A phase across the end of the training."""

    name = "across"

    def phases(self) -> Sequence[Phase]:
        return [Phase(until=0.9), Phase(until=1.1)]


class Factors(Regime):
    """Scales the classifier."""

    name = "factors"
    restart: bool = True

    def phases(self) -> Sequence[Phase]:
        return [Phase(until=0.5), Phase(until=1.0, classifier="scale", restart=self.restart)]


class Usual(Regime):
    """States what happens anyway."""

    name = "usual"

    def phases(self) -> Sequence[Phase]:
        return [Phase(until=0.5, batch_norm="learn"), Phase(until=1.0, trainable="classifier", batch_norm="frozen")]


class UsualUnsaid(Regime):
    name = "usual_unsaid"

    def phases(self) -> Sequence[Phase]:
        return [Phase(until=0.5), Phase(until=1.0, trainable="classifier")]


@pytest.fixture(scope="module")
def own() -> Registry:
    return registry_with(Few, Net, Second, Across, Factors, Usual, UsualUnsaid)


@pytest.fixture
def plan_of(own: Registry) -> Callable[..., Plan]:
    suite = changed(
        find_suite("quick", own), datasets=["few_images"], models=["some_net"], imbalance_factors=[10], seeds=[0],
        techniques=[],
    )  # fmt: skip

    def plan_of(*techniques: str, **changes: object) -> Plan:
        return make_plan(changed(suite, techniques=techniques, **changes), own, Path())

    plan_of.suite = suite  # type: ignore[attr-defined]
    return plan_of


def last(plan: Plan) -> Job:
    return max(plan.of_kind("fit"), key=lambda fit: fit.spec["segments"][-1]["until"])


def test_a_stage_after_the_end_continues_the_finished_plain_training(plan_of: Callable[..., Plan]) -> None:
    plan = plan_of("second")
    plain, second = plan.of_kind("fit")
    assert second.parents == (plain.key,)
    assert plain.keep_state
    assert {plain.key, second.key} == {cell.spec["members"][0] for cell in plan.cells}, "the plain cell's own training"
    assert [segment["until"] for segment in second.spec["segments"]] == [1.0, 1.05]
    assert plan.passes[second.key] == pytest.approx(0.05 * plan.passes[plain.key]), "the last part of a longer training"
    assert plan.passes_naive > plan.passes_shared


def test_a_segment_says_only_what_is_not_as_usual(plan_of: Callable[..., Plan]) -> None:
    plain, second = last(plan_of("second", "mixup")).spec["segments"]
    assert second.keys() - plain.keys() == {"classifier", "batch_norm", "max_norm", "weight_decay_scale"}
    assert (second["classifier"], second["batch_norm"], second["max_norm"]) == ("fresh", "statistics", 0.1)
    assert (label_of(second["sampler"]), label_of(second["loss"]), second["mix"]) == ("cb_sampler", "focal", None)
    assert label_of(plain["loss"]) == "cross_entropy"


def test_a_technique_in_place_of_a_switch_replaces_that_of_the_cell(plan_of: Callable[..., Plan]) -> None:
    parts = last(plan_of("second", "label_smooth")).spec["segments"]
    assert [label_of(part["loss"]) for part in parts] == ["cross_entropy", "focal"]
    fits = [fit.spec["segments"] for fit in plan_of("second", "label_smooth").of_kind("fit")]
    assert ["label_smooth", "focal"] in [[label_of(part["loss"]) for part in fit] for fit in fits]
    off = last(plan_of("second[loss=cross_entropy]", "label_smooth")).spec["segments"]
    assert label_of(off[1]["loss"]) == "cross_entropy", "a baseline is the default of the stage"


def test_a_later_part_finds_the_state_of_the_finished_training(plan_of: Callable[..., Plan], own: Registry) -> None:
    suite = changed(plan_of.suite, techniques=["second"])  # type: ignore[attr-defined]
    first, second = plan_parts(suite, own, Path(), cells=1)
    (plain,) = first.of_kind("fit")
    assert plain.keep_state
    assert first.foreseen == {plain.key}
    assert second.repeated >= {plain.key}
    assert last(second).parents == (plain.key,)


@pytest.mark.parametrize(
    ("regime", "why"),
    [
        (
            "second[restart=false]",
            "second[restart=false] cannot be trained: the phase that ends at 1.05 has no",
        ),
        ("across", "the phase that ends at 1.1 has no learning rates after 1"),
        ("factors[restart=false]", "classifier='scale' has another optimiser, so it has to restart"),
    ],
)
def test_a_phase_that_has_to_restart_says_so(plan_of: Callable[..., Plan], regime: str, why: str) -> None:
    (left,) = plan_of(regime).left_out
    assert why in left.reason


def test_a_training_of_factors_freezes_the_rest(plan_of: Callable[..., Plan]) -> None:
    (job,) = [fit for fit in plan_of("factors").of_kind("fit") if len(fit.spec["segments"]) == 2]
    assert job.spec["segments"][1]["trainable"] == "classifier"


def test_what_batch_normalisation_does_anyway_is_no_other_training(plan_of: Callable[..., Plan]) -> None:
    keys = [{fit.key for fit in plan_of(name).of_kind("fit")} for name in ("usual", "usual_unsaid")]
    assert keys[0] == keys[1]


def test_a_short_stage_after_the_end_is_noted(plan_of: Callable[..., Plan]) -> None:
    assert not any("no step" in note for note in plan_of("second").notes)
    plan = plan_of("second[until=1.0001]")
    assert any("second[until=1.0001]: a phase has no step in a training of" in note for note in plan.notes)
