"""Members of ensembles that end earlier than the cell, or train with other techniques."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

import pytest
from planning.test_plan import Few, Net, NetOfBlocks
from support import registry_with

from ltbench import Auxiliary, Branches, Ensemble, Loss, Member, Mix, Phase, Regime
from ltbench.core.spec import Job, label_of, passes_through
from ltbench.jobs.cell import failed_record
from ltbench.planning.parts import make_plan
from ltbench.planning.plan import Plan
from ltbench.planning.suitability import missing_package
from ltbench.records.checked_record import check_identity
from ltbench.records.comparability import board_key
from ltbench.records.record import validate
from ltbench.registry.registry import Registry
from ltbench.stages import TECHNIQUE_STAGES
from ltbench.suite.suite import changed, find_suite
from ltbench.technique import Technique
from ltbench.verification.rerun import plan_of as rerun_plan


class Mean(Ensemble):
    name = "mean"

    def merge(self, probabilities):
        return probabilities.mean(0)


class Points(Mean):
    """Two points of one training."""

    name = "points"
    first: float = 0.5

    def members(self, counts: Sequence[int]) -> Sequence[Member]:
        return [Member(until=self.first), Member()]


class Losses(Mean):
    """Members with losses of their own, and one with that of the cell."""

    name = "losses"
    own: bool = True

    def members(self, counts: Sequence[int]) -> Sequence[Member]:
        others = [Member(techniques=("label_smooth",)), Member(techniques=("focal", "cb_sampler"), seed_offset=1)]
        return [Member(), *others] if self.own else others


class Plainer(Mean):
    """A member without the mix and weight of the cell, and one with another regime."""

    name = "plainer"
    text: str = "decoupling"

    def members(self, counts: Sequence[int]) -> Sequence[Member]:
        return [Member(), Member(techniques=(self.text,))]


class Cycles(Regime):
    name = "cycles"

    def phases(self) -> Sequence[Phase]:
        return [Phase(until=0.4, restart=True), Phase(until=1.0, restart=True)]


class Unweighted(Regime):
    name = "unweighted"

    def phases(self) -> Sequence[Phase]:
        return [Phase(until=0.5, weight=False), Phase(until=1.0, weight="ens")]


class Lacking(Loss):
    name = "lacking"
    requires: ClassVar = {"no_such_package": "pip install no-such-package"}


class Looks(Auxiliary):
    name = "looks"
    views = ("", "nothing")


class Partnered(Mix):
    name = "partnered"
    partner = "nothing"


class Streamed(Branches):
    name = "streamed"
    stream = "nothing"

    def unsuited_to(self, model: Technique) -> str:
        return ""


class Phased(Regime):
    name = "phased"

    def phases(self) -> Sequence[Phase]:
        return [Phase(until=0.5, loss="nothing"), Phase(until=1.0)]


@pytest.fixture(scope="module")
def own() -> Registry:
    return registry_with(
        Few, Net, NetOfBlocks, Points, Losses, Plainer, Cycles, Unweighted, Lacking, Looks, Partnered, Streamed, Phased
    )


@pytest.fixture(scope="module")
def plan_of(own: Registry) -> Callable[..., Plan]:
    suite = changed(
        find_suite("quick", own), datasets=["few_images"], models=["some_net"], imbalance_factors=[10], seeds=[0],
        techniques=[],
    )  # fmt: skip

    def plan_of(*rows: Sequence[str], **changes: object) -> Plan:
        return make_plan(changed(suite, combinations=list(rows), **changes), own, Path())

    return plan_of


def cell_of(plan: Plan, *labels: str) -> Job:
    (cell,) = [c for c in plan.cells if {t for t in c.extra["combination"].values() if t} == set(labels)]
    return cell


def used(plan: Plan, cell: Job, stage: str) -> list[list[str]]:
    """Return the techniques of a stage in each segment of each member."""
    return [[label_of(s[stage]) for s in plan.jobs[fit].spec["segments"]] for fit in cell.spec["members"]]


def test_a_point_of_a_training_is_on_the_way_to_its_end(plan_of: Callable[..., Plan]) -> None:
    plan = plan_of(["points"])
    early, whole = cell_of(plan, "points").spec["members"]
    assert cell_of(plan).spec["members"] == [whole], "the plain training"
    assert plan.jobs[whole].parents == (early,)
    assert plan.jobs[early].keep_state
    assert plan.passes[early] + plan.passes[whole] == pytest.approx(
        plan_of().passes_shared - plan.passes[cell_of(plan).parents[0]]
    )
    assert passes_through(plan.jobs[whole].spec, plan.jobs[early].spec)
    assert not passes_through(plan.jobs[early].spec, plan.jobs[whole].spec)


def test_a_point_is_cut_out_of_the_phase_in_which_it_is(plan_of: Callable[..., Plan]) -> None:
    plan = plan_of(["points", "drw", "ens"], ["points[first=0.9]", "drw", "ens"])
    ends = [
        [[s["until"] for s in plan.jobs[fit].spec["segments"]] for fit in cell_of(plan, label, "drw", "ens").spec["members"]]
        for label in ("points", "points[first=0.9]")
    ]  # fmt: skip
    assert ends == [[[0.5], [0.8, 1.0]], [[0.8, 0.9], [0.8, 1.0]]]


def test_a_point_in_a_phase_that_restarts_is_left_out_with_the_reason(plan_of: Callable[..., Plan]) -> None:
    plan = plan_of(["points", "cycles"], ["points[first=0.4]", "cycles"], ["points[first=1.5]"])
    reasons = {one.combination.label: one.reason for one in plan.left_out}
    assert reasons == {
        "cycles + points": "points has a member that ends at 0.5, but its training has phases that restart, and they end "
        "at 0.4, 1",
        "points[first=1.5]": "points[first=1.5] has a member that ends at 1.5, but its training ends at 1",
    }
    assert len(cell_of(plan, "points[first=0.4]", "cycles").spec["members"]) == 2


def test_members_have_techniques_of_their_own(plan_of: Callable[..., Plan]) -> None:
    plan = plan_of(["losses", "mixup"])
    cell = cell_of(plan, "losses", "mixup")
    assert used(plan, cell, "loss") == [["cross_entropy"], ["label_smooth"], ["focal"]]
    assert used(plan, cell, "sampler") == [["shuffle"], ["shuffle"], ["cb_sampler"]]
    assert used(plan, cell, "mix") == [["mixup"]] * 3, "what they do not replace is that of the cell"
    assert [plan.jobs[fit].spec["seed"] for fit in cell.spec["members"]] == [0, 0, 1]


def test_a_member_shares_the_training_of_the_cell_that_it_is(plan_of: Callable[..., Plan]) -> None:
    plan = plan_of(["losses"], ["label_smooth"])
    assert cell_of(plan, "label_smooth").spec["members"][0] == cell_of(plan, "losses").spec["members"][1]


def test_a_member_may_have_a_regime_or_a_baseline_of_its_own(plan_of: Callable[..., Plan]) -> None:
    plan = plan_of(["plainer", "cb_sampler"], ["plainer[text=shuffle]", "cb_sampler"])
    assert used(plan, cell_of(plan, "plainer", "cb_sampler"), "sampler") == [["cb_sampler"], ["shuffle", "cb_sampler"]]
    cell = cell_of(plan, "plainer[text=shuffle]", "cb_sampler")
    assert used(plan, cell, "sampler") == [["cb_sampler"], ["shuffle"]]


def test_members_that_cannot_be_are_left_out_with_the_reason(plan_of: Callable[..., Plan]) -> None:
    plan = plan_of(["plainer[text=drw]"], ["losses[own=false]", "ldam"], ["losses[own=false]"])
    reasons = {one.combination.label: one.reason for one in plan.left_out}
    assert reasons == {
        "plainer[text=drw]": "a member of plainer[text=drw] has drw: drw needs a technique of stage weight: there is nothing "
        "to defer without class weights",
        "ldam + losses[own=false]": "ldam has no effect: every member of losses[own=false] has another loss instead",
    }


def test_a_member_that_does_not_suit_the_model_is_left_out_with_the_reason(plan_of: Callable[..., Plan]) -> None:
    plan = plan_of(["plainer[text=adaptformer]"])
    (left,) = plan.left_out
    assert left.reason == "adaptformer cannot be used with model some_net: its networks have no transformer blocks"


def test_a_technique_without_its_package_is_left_out_with_the_reason(plan_of: Callable[..., Plan]) -> None:
    plan = plan_of(["lacking"], ["plainer[text=lacking]"], ["mixup"])
    reason = "lacking needs the package no_such_package, which is not installed: pip install no-such-package"
    assert {one.combination.label: one.reason for one in plan.left_out} == {
        "lacking": reason,
        "plainer[text=lacking]": reason,
    }
    assert f"left out: {reason}" in plan.notes
    assert len(plan.cells) == 2


@pytest.mark.parametrize("row", ["looks", "partnered", "streamed", "phased", "plainer[text=nothing]"])
def test_a_technique_that_names_one_that_is_not_installed_is_left_out_with_the_reason(
    plan_of: Callable[..., Plan], row: str
) -> None:
    plan = plan_of([row], ["mixup"], ["drw", "ens"])
    (left,) = plan.left_out
    assert left.combination.label == row
    assert left.reason == "it names nothing: unknown technique 'nothing'"
    assert len(plan.cells) == 3


def test_a_loss_for_another_number_of_branches_is_left_out_with_the_reason(plan_of: Callable[..., Plan]) -> None:
    rows = ["experts[n=2]", "sade_loss"], ["experts", "sade_loss"], ["experts[n=2]", "ride_loss"]
    plan = plan_of(*rows, models=["net_of_blocks"])
    assert {one.combination.label: one.reason for one in plan.left_out} == {
        "experts[n=2] + sade_loss": "sade_loss is for 3 branches, but experts[n=2] has 2"
    }
    assert cell_of(plan, "experts", "sade_loss")


def test_a_technique_that_no_phase_uses_is_left_out_with_the_reason(plan_of: Callable[..., Plan]) -> None:
    plan = plan_of(["ins", "unweighted"], ["mixup", "crt"])
    (left,) = plan.left_out
    assert left.combination.label == "ins + unweighted"
    assert left.reason == "ins has no effect: no phase of the training uses it"
    assert cell_of(plan, "mixup", "crt"), "the first stage uses the mix"


def test_a_member_has_no_view_of_its_own(plan_of: Callable[..., Plan]) -> None:
    (left,) = plan_of(["plainer[text=tta]"]).left_out
    assert left.reason.startswith(
        "plainer[text=tta] has a member with view tta, but techniques of a member are of the stages "
    )


@pytest.mark.parametrize(
    "row", [["points"], ["losses", "mixup"], ["plainer", "cb_sampler"], ["cycles", "points[first=0.4]"]]
)
def test_a_record_is_consistent_and_reruns_as_planned(
    plan_of: Callable[..., Plan], own: Registry, row: list[str]
) -> None:
    plan = plan_of(row)
    cell = cell_of(plan, *row)
    record = validate(failed_record(cell, {"type": "E", "message": "m"}))
    check_identity(record)
    again = rerun_plan([record], own)
    assert again.jobs[cell.key] == cell
    assert {key for key, job in again.jobs.items() if job.kind == "fit"} >= set(cell.spec["members"])
    for key, job in again.jobs.items():
        assert key not in plan.jobs or (job.spec, job.kind) == (plan.jobs[key].spec, plan.jobs[key].kind)
    # The same board as the cell without the ensemble: rows of one table.
    plain = cell_of(plan)
    keys = [board_key("ltb1", ("d", "p", "m"), c.extra["recipe"], c.spec, c.extra["fits"]) for c in (cell, plain)]
    assert keys[0] == keys[1]


def test_every_built_in_technique_can_be_planned_alone_unless_it_needs_another(tmp_path: Path) -> None:
    registry = Registry.load()
    names = [name for stage in TECHNIQUE_STAGES for name, kind in registry.of(stage).items() if not kind.baseline]
    suite = changed(
        find_suite("quick", registry),
        techniques=names,
        strategy="each",
        imbalance_factors=[100],
        seeds=[0],
        held_out=0.1,
    )
    found = make_plan(suite, registry, tmp_path).left_out
    reasons = {one.combination.label: one.reason for one in found}
    needing = {name for name in names if registry.parse(name).needs}
    unsuited = {"adaptformer"}  # a convolutional network has no transformer blocks
    lacking = {name for name in names if missing_package(registry.parse(name))}
    assert set(reasons) == needing | unsuited | lacking, reasons
