"""Which states of a training a selection chooses between, and the jobs that it takes."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from support import registry_with
from tiny import Tiny

from ltbench.core.spec import identity
from ltbench.errors import SuiteError, UsageError
from ltbench.planning.parts import make_plan
from ltbench.planning.plan import Plan
from ltbench.planning.selection import candidates, held_out_metric
from ltbench.planning.shared_fits import ancestors, chain_fits
from ltbench.registry.registry import Registry
from ltbench.stages import Ensemble, Member, Model, Phase, Regime
from ltbench.suite.suite import Suite


class Net(Model):
    name = "some_net"


class Late(Regime):
    """Switches the weights on for the second half."""

    name = "late"

    def phases(self) -> list[Phase]:
        return [Phase(until=0.5, weight=False), Phase(until=1)]


class Anew(Regime):
    """Begins anew after the training, for a quarter of its length."""

    name = "anew"

    def phases(self) -> list[Phase]:
        return [Phase(until=1), Phase(until=1.25, restart=True, trainable="classifier")]


class AnewAndOn(Regime):
    name = "anew_and_on"

    def phases(self) -> list[Phase]:
        return [Phase(until=0.5), Phase(until=0.75, restart=True), Phase(until=1, weight=False)]


class Two(Ensemble):
    name = "two"

    def members(self, counts):
        return [Member(seed_offset=0), Member(seed_offset=1)]


@pytest.fixture(scope="module")
def own() -> Registry:
    return registry_with(Tiny, Net, Late, Anew, AnewAndOn, Two)


def suite_of(*rows: list[str], **fields: object) -> Suite:
    required = {
        "schema": 1, "name": "selected", "title": "Selected", "question": "?", "datasets": ("tiny",), "imbalance_factors": (2,),
        "models": ("some_net",), "combinations": rows, "held_out": 0.2, "selection": "best",
        "recipe": {"epochs": 4, "precision": "fp32"},
    }  # fmt: skip
    return msgspec.convert(required | fields, Suite)


def plan_of(own: Registry, *rows: list[str], **fields: object) -> Plan:
    return make_plan(suite_of(*rows, **fields), own, Path())


def ends(plan: Plan) -> list[float]:
    """Return where the states end among which the last cell's fit is selected."""
    (job,) = (plan.jobs[key] for key in plan.cells[-1].spec["members"])
    assert job.kind == "select"
    return [plan.jobs[key].spec["segments"][-1]["until"] for key in job.parents[::2]]


def test_every_epoch_of_a_plain_training_is_a_candidate(own: Registry) -> None:
    plan = plan_of(own, ["tta"])
    assert ends(plan) == [0.25, 0.5, 0.75, 1.0]
    (select,) = plan.of_kind("select")
    predictions = [plan.jobs[key] for key in select.parents[1::2]]
    assert [job.spec["split"] for job in predictions] == ["held_out"] * 4
    assert [job.spec["view"] for job in predictions] == ["identity"] * 4
    assert [job.parents[0] for job in predictions] == list(select.parents[::2])
    # The baseline and tta use the same choice; their test predictions are of the selected fit.
    tests = [job for job in plan.of_kind("predict") if job.spec["split"] == "test"]
    assert {job.spec["fit"] for job in tests} == {select.key}


def test_the_states_are_those_of_the_training_without_a_selection(own: Registry) -> None:
    plain = plan_of(own, ["tta"], selection="last")
    best = plan_of(own, ["tta"])
    (fit,) = plain.of_kind("fit")
    last = best.of_kind("fit")[-1]
    assert (last.key, last.spec) == (fit.key, fit.spec)
    assert len(best.of_kind("fit")) == 4
    assert best.passes_shared == pytest.approx(plain.passes_shared + 4 * sum(_held_out(best)))


def _held_out(plan: Plan) -> set[float]:
    return {plan.passes[job.key] for job in plan.of_kind("predict") if job.spec["split"] == "held_out"}


def test_phases_that_go_on_keep_all_epochs(own: Registry) -> None:
    assert ends(plan_of(own, ["late", "ens"])) == [0.25, 0.5, 0.75, 1.0]


def test_a_phase_that_begins_anew_leaves_its_end_alone(own: Registry) -> None:
    # The learning rates of such a phase belong to its whole length, so there is no state within it.
    assert ends(plan_of(own, ["anew"])) == [1.25]
    assert ends(plan_of(own, ["anew_and_on", "ens"])) == [0.75, 1.0]


def test_each_member_is_selected_for_itself(own: Registry) -> None:
    plan = plan_of(own, ["two"])
    members = [plan.jobs[key] for key in plan.cells[-1].spec["members"]]
    assert [job.kind for job in members] == ["select", "select"]
    assert {job.spec["seed"] for job in members} == {0, 1}
    # The first one is that of the baseline.
    assert len(plan.of_kind("select")) == 2


def test_jobs_come_after_those_that_they_read(own: Registry) -> None:
    plan = plan_of(own, ["late", "ens"], ["two"], ["tta"])
    seen: set[str] = set()
    for job in plan.jobs.values():
        assert seen.issuperset(job.reads), job
        seen.add(job.key)


def test_a_rerun_from_specs_has_the_same_jobs(own: Registry) -> None:
    plan = plan_of(own, ["late", "ens"])
    (key,) = plan.cells[-1].spec["members"]
    spec = plan.jobs[key].spec
    chains = chain_fits([spec])
    assert identity(spec) == key
    assert [job.key for job in ancestors(key, chains)] == [job.key for job in ancestors(key, plan.jobs)]
    for job in ancestors(key, chains):
        assert job == plan.jobs[job.key]


def test_candidates_follow_from_the_spec_alone() -> None:
    segment = {"until": 1.0, "restart": False, "sampler": None}
    fit = {"recipe": {"epochs": 3}, "segments": [segment]}
    assert [one["segments"][-1]["until"] for one in candidates(fit)] == [1 / 3, 2 / 3, 1.0]


def test_identities_without_a_selection_are_unchanged(own: Registry) -> None:
    for job in plan_of(own, ["tta"], selection="last").jobs.values():
        assert "selection" not in job.spec
        assert "splits" not in job.spec


@pytest.mark.parametrize(
    ("metric", "test", "number"),
    [
        ("", [5, 5], "balanced_accuracy"),
        ("", [5, 9], "balanced_accuracy"),
        ("top1", [5, 5], "balanced_accuracy"),
        ("top1", [5, 9], "top1"),
        ("macro_f1", [5, 5], "macro_f1"),
        ("held_out.macro_f1", [5, 5], "macro_f1"),
        ("held_out.top1", [0, 5], "balanced_accuracy"),
    ],
)
def test_what_ranks_the_page_is_estimated_on_long_tailed_images(
    metric: str, test: list[int], number: str, own: Registry
) -> None:
    assert held_out_metric(metric, test, own).number == number


def test_a_metric_that_is_not_there_is_named(own: Registry) -> None:
    with pytest.raises(UsageError, match="no installed metric has the number 'none_such'"):
        held_out_metric("none_such", [1, 1], own)
    assert held_out_metric("ece", [1, 1], own).higher_is_better is False


@pytest.mark.parametrize("fields", [{"held_out": 0.0}, {"recipe": {"steps": 10}}])
def test_a_selection_needs_images_and_epochs(fields: dict[str, object]) -> None:
    with pytest.raises(SuiteError, match="needs held-out images, and a recipe in epochs"):
        suite_of(["tta"], **fields)


def test_what_is_looked_at_after_each_epoch_is_a_cost_with_and_without_sharing(own: Registry, tmp_path: Path) -> None:
    plan, plain = (make_plan(suite_of(selection=selection), own, tmp_path) for selection in ("best", "last"))
    # One row has nothing to share.
    assert plan.passes_shared == plan.passes_naive
    held_out = sum(plan.passes[job.key] for job in plain.of_kind("predict") if job.spec["split"] == "held_out")
    assert held_out > 0
    assert plan.passes_naive == plain.passes_naive + 4 * held_out
