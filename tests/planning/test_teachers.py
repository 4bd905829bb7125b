"""Teachers: trainings that a technique names, and that another training needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from engine.world import Net as SmallNet
from engine.world import Patterns
from planning.test_members import cell_of
from planning.test_plan import Few, Net
from plugins.small_run import RECIPE
from support import make_executor, registry_with

from ltbench import Auxiliary, Ensemble, Member, Phase, Regime
from ltbench.core.spec import identity, label_of
from ltbench.executor import Context, Terms
from ltbench.jobs.cell import failed_record
from ltbench.planning.parts import make_plan
from ltbench.planning.plan import Plan
from ltbench.planning.without_sharing import without_sharing
from ltbench.records.checked_record import check_identity
from ltbench.records.comparability import board_key, components
from ltbench.records.record import validate
from ltbench.registry.registry import Registry
from ltbench.running.options import RunOptions
from ltbench.running.runner import run
from ltbench.store.store import Store
from ltbench.suite.suite import Suite, changed, find_suite
from ltbench.timing.makespan import makespan
from ltbench.verification.rerun import plan_of as rerun_plan
from ltbench.verification.rerun import retrain


class Imitate(Auxiliary):
    name = "imitate"
    teacher: str = "balanced_softmax"

    def term(self, views, labels, counts, moment):
        return (views[0].logits - views[0].teacher).square().mean()


class Late(Regime):
    """Names an auxiliary, and so its teacher."""

    name = "late"

    def phases(self) -> Sequence[Phase]:
        return [Phase(until=0.5), Phase(until=1.0, auxiliary="imitate")]


class Schooled(Regime):
    """Names a teacher itself."""

    name = "schooled"
    teacher: str = "ldam"

    def phases(self) -> Sequence[Phase]:
        return [Phase(until=1.0)]


class Seeds(Ensemble):
    name = "seeds"

    def members(self, counts: Sequence[int]) -> Sequence[Member]:
        return [Member(), Member(seed_offset=1)]

    def merge(self, probabilities):
        return probabilities.mean(0)


@pytest.fixture(scope="module")
def own() -> Registry:
    return registry_with(Few, Net, Patterns, SmallNet, Imitate, Late, Schooled, Seeds)


@pytest.fixture(scope="module")
def suite(own: Registry) -> Suite:
    return changed(
        find_suite("quick", own), datasets=["few_images"], models=["some_net"], imbalance_factors=[10], seeds=[0],
        techniques=[],
    )  # fmt: skip


@pytest.fixture(scope="module")
def plan_of(own: Registry, suite: Suite) -> Callable[..., Plan]:
    return lambda *rows: make_plan(changed(suite, combinations=list(rows)), own, Path())


def losses(spec: dict) -> list[str]:
    return [label_of(segment["loss"]) for segment in spec["segments"]]


def test_the_teacher_is_trained_before_and_shared(plan_of: Callable[..., Plan]) -> None:
    plan = plan_of(["imitate"], ["imitate", "mixup"], ["balanced_softmax"])
    (student,), (other,) = (cell_of(plan, *row).spec["members"] for row in (("imitate",), ("imitate", "mixup")))
    (teacher,) = cell_of(plan, "balanced_softmax").spec["members"]
    for key in (student, other):
        job = plan.jobs[key]
        assert job.reads == (teacher,)
        assert job.parents == (), "it continues no other training"
        assert identity(job.spec["teacher"]) == teacher
        assert list(plan.jobs).index(teacher) < list(plan.jobs).index(key)
    assert losses(plan.jobs[teacher].spec) == ["balanced_softmax"]
    assert losses(plan.jobs[student].spec) == ["cross_entropy"]
    assert len(plan.of_kind("fit")) == 4, "with the plain training of the baseline"
    # A teacher makes a forward pass in each step, of the work of three.
    assert plan.passes[student] == pytest.approx(plan.passes[teacher] * 4 / 3)


def test_a_training_without_teacher_says_nothing_of_one(plan_of: Callable[..., Plan]) -> None:
    assert not any("teacher" in fit.spec for fit in plan_of(["mixup"], ["drw", "ens"]).of_kind("fit"))


def test_the_teacher_has_several_techniques_of_its_own_alone(plan_of: Callable[..., Plan]) -> None:
    plan = plan_of(['imitate[teacher="ldam,drw,ens"]', "mixup"])
    student = next(fit for fit in plan.of_kind("fit") if "teacher" in fit.spec)
    teacher = student.spec["teacher"]
    assert losses(teacher) == ["ldam", "ldam"]
    assert [label_of(segment["weight"]) for segment in teacher["segments"]] == ["", "ens"]
    assert all(segment["mix"] is None for segment in teacher["segments"])


def test_a_regime_names_a_teacher_or_an_auxiliary_with_one(plan_of: Callable[..., Plan]) -> None:
    plan = plan_of(["late"], ["schooled"])
    teachers = {
        row: losses(plan.jobs[cell_of(plan, row).spec["members"][0]].spec["teacher"]) for row in ("late", "schooled")
    }
    assert teachers == {"late": ["balanced_softmax"], "schooled": ["ldam"]}


def test_every_member_has_the_teacher_of_its_seed(plan_of: Callable[..., Plan]) -> None:
    plan = plan_of(["imitate", "seeds"])
    specs = [plan.jobs[fit].spec for fit in cell_of(plan, "imitate", "seeds").spec["members"]]
    assert [(spec["seed"], spec["teacher"]["seed"]) for spec in specs] == [(0, 0), (1, 1)]


def test_teachers_that_cannot_be_are_left_out_with_the_reason(plan_of: Callable[..., Plan]) -> None:
    plan = plan_of(["imitate[teacher=drw]"], ["imitate", "schooled"], ["imitate[teacher=imitate]"])
    reasons = {one.combination.label: one.reason for one in plan.left_out}
    assert reasons == {
        "imitate[teacher=drw]": "imitate has a teacher with drw: drw needs a technique of stage weight: there is nothing to "
        "defer without class weights",
        "imitate + schooled": "imitate has teacher balanced_softmax and schooled has teacher ldam",
        "imitate[teacher=imitate]": "imitate has a teacher with imitate, which has a teacher itself",
    }
    (left,) = plan_of(["imitate[teacher=tta]"]).left_out
    assert left.reason.startswith(
        "imitate has a teacher with tta, but techniques of a teacher are of the stages sampler, "
    )


def test_a_teacher_that_does_not_suit_the_model_is_left_out_with_the_reason(plan_of: Callable[..., Plan]) -> None:
    plan = plan_of(["imitate[teacher=adaptformer]"])
    (left,) = plan.left_out
    assert left.reason == (
        "its teacher cannot be trained: adaptformer cannot be used with model some_net: its networks have no transformer blocks"
    )
    assert len(plan.cells) == 1, "the baseline"


def test_a_record_alone_reruns_student_and_teacher(plan_of: Callable[..., Plan], own: Registry) -> None:
    plan = plan_of(["imitate", "mixup"])
    cell = cell_of(plan, "imitate", "mixup")
    record = validate(failed_record(cell, {"type": "E", "message": "m"}))
    check_identity(record)
    again = rerun_plan([record], own)
    assert again.jobs[cell.key] == cell
    fits = [job for job in again.jobs.values() if job.kind == "fit"]
    assert [fit.key for fit in fits] == [identity(fits[1].spec["teacher"]), fits[1].key], "the teacher first"
    (plain,) = [c for c in plan.cells if not any(c.extra["combination"].values())]
    keys = [board_key("ltb1", ("d", "p", "m"), c.extra["recipe"], c.spec, c.extra["fits"]) for c in (cell, plain)]
    assert keys[0] == keys[1], "rows of one table"
    assert ("loss", "balanced_softmax") in {part for part, _ in components(cell.spec, cell.extra["fits"])}


def test_a_schedule_waits_for_the_teacher(plan_of: Callable[..., Plan]) -> None:
    jobs = {job.key: job for job in plan_of(["imitate"]).of_kind("fit")}
    assert makespan(jobs, dict.fromkeys(jobs, 1.0), workers=9) == 2.0


def test_without_sharing_the_teacher_is_trained_for_each_student(plan_of: Callable[..., Plan]) -> None:
    plan = plan_of(["imitate"], ["balanced_softmax"])
    separate = without_sharing(plan)
    students = [fit for fit in separate.of_kind("fit") if "teacher" in fit.spec]
    for student in students:
        assert separate.jobs[identity(student.spec["teacher"])].spec["alone"].endswith("/0/teacher")
        assert student.key == identity(student.spec)
    assert len(separate.of_kind("fit")) == 4


def test_a_run_trains_both_and_a_rerun_gives_the_same_numbers(own: Registry, tmp_path: Path) -> None:
    small = changed(
        find_suite("quick", own), name="small", datasets=["patterns"], imbalance_factors=[3], models=["net"],
        techniques=[], combinations=[["imitate"]], seeds=[0], recipe=RECIPE,
    )  # fmt: skip
    plan = make_plan(small, own, tmp_path)
    context = Context(store=Store(tmp_path / "store"), registry=own, data_root=tmp_path)
    with make_executor("inline", context, Terms(workers=1, timeout=None)) as executor:
        summary = run(plan, context, executor, RunOptions(retries=0))
        assert not summary.failed
        record = validate(context.store.record(cell_of(plan, "imitate").key))
        elsewhere = Context(store=Store(tmp_path / "again"), registry=own, data_root=tmp_path)
    with make_executor("inline", elsewhere, Terms(workers=1, timeout=None)) as executor:
        (again,) = retrain([record], elsewhere, executor, on_event=lambda _: None).values()
    assert again.metrics == record.metrics
    assert {"imitate", "balanced_softmax", "cross_entropy"} <= {made.name for made in record.plugins}
