"""Which trainings use stored features, and the jobs that this takes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import msgspec
import pytest
from engine.frozen_world import Frozen
from engine.world import Patterns
from support import registry_with

from ltbench.core.spec import FEATURE_PARTS, identity
from ltbench.executor import Context, Terms
from ltbench.executors.inline import Inline
from ltbench.planning.parts import make_plan
from ltbench.planning.plan import Plan
from ltbench.planning.without_sharing import without_sharing
from ltbench.records.record import validate
from ltbench.registry.registry import Registry
from ltbench.running.runner import run
from ltbench.store.store import Store
from ltbench.suite.suite import Suite
from ltbench.verification.rerun import plan_of

ROWS = [["balanced_softmax"], ["drw", "ens"], ["cb_sampler"], ["logit_adjust_posthoc"], ["tta"], ["crt"], ["sam"]]
"""In the same stack as the baseline: the first two; sharing its training: two; alone: the last two."""


@pytest.fixture(scope="module")
def own() -> Registry:
    return registry_with(Patterns, Frozen)


def suite(*rows: list[str], **changes: object) -> Suite:
    fields: dict[str, object] = {
        "schema": 1, "name": "frozen", "title": "t", "question": "q", "datasets": ["patterns"], "imbalance_factors": [3],
        "models": ["frozen"], "combinations": rows, "recipe": {"epochs": 4, "batch_size": 8, "lr": 0.05, "precision": "fp32"},
    }  # fmt: skip

    return msgspec.convert(fields | changes, Suite)


def kinds(plan: Plan) -> Counter[str]:
    return Counter(job.kind for job in plan.jobs.values())


def label(plan: Plan, key: str) -> str:
    return " + ".join(text for text in plan.jobs[key].extra["combination"].values() if text)


def test_features_are_shared_by_all_trainings_and_seeds(own: Registry, tmp_path: Path) -> None:
    plan = make_plan(suite(*ROWS, seeds=[0, 1], subset_seeds="seed"), own, tmp_path)
    # Of training and test images, and of test images under the second view.
    assert kinds(plan)["features"] == 3 * FEATURE_PARTS
    assert all(job.spec["features"] for job in plan.jobs.values() if job.kind == "fit")
    order = list(plan.jobs)
    for job in plan.jobs.values():
        assert all(order.index(parent) < order.index(job.key) for parent in job.parents)
    stacks = Counter(job.together for job in plan.jobs.values() if job.kind == "fit")
    assert sorted(stacks.values()) == [
        1,
        1,
        3,
        3,
        4,
    ]  # of each seed: class-balanced sampling, and the stack; the rest alone
    assert stacks[""] == 4


def test_a_fit_has_the_same_job_whatever_else_is_planned(own: Registry, tmp_path: Path) -> None:
    plans = [make_plan(suite(*rows), own, tmp_path) for rows in (ROWS, ROWS[:1], [["crt"], ["snapshot_ensemble"]])]
    jobs = [{job.key: job for job in plan.jobs.values() if job.kind == "fit"} for plan in plans]
    for other in jobs[1:]:
        assert len(common := jobs[0].keys() & other.keys()) >= 1
        assert all(jobs[0][key] == other[key] for key in common)


def test_the_cost_is_that_of_the_features(own: Registry, tmp_path: Path) -> None:
    plan = make_plan(suite(["balanced_softmax"], ["tta"]), own, tmp_path)
    assert plan.passes_shared == 90 + 18 + 18
    # Without sharing each cell needs those of the images on which it trains, and of each view of the test images.
    (trained,) = set(plan.images.values())
    assert plan.passes_naive == 3 * trained + 18 + 18 + 2 * 18


@pytest.mark.parametrize(
    ("row", "changes", "uses"),
    [
        (["balanced_softmax"], {}, True),
        (["crop_flip"], {}, False),
        (["mixup"], {}, False),
        (["linear_probe"], {}, True),
        (["balanced_softmax"], {"recipe": {"epochs": 4, "augment": "crop_flip"}}, False),
        (["balanced_softmax"], {"recipe": {"epochs": 4, "augment": "no_augment"}}, True),
        (["linear_probe"], {"models": ["convnet"]}, False),
        (["linear_probe"], {"models": ["efficientnet_lite0[pretrained=true]"]}, True),
        (["linear_probe", "flip"], {"models": ["efficientnet_lite0[pretrained=true]"]}, False),
    ],
)
def test_only_fixed_images_of_a_fixed_backbone_have_features(
    own: Registry, tmp_path: Path, row: list[str], changes: dict[str, object], uses: bool
) -> None:
    plan = make_plan(suite(row, **changes), own, tmp_path)
    cell = next(job for job in plan.cells if label(plan, job.key))
    fits = [plan.jobs[key] for key in cell.spec["members"]]
    assert [("features" in fit.spec) for fit in fits] == [uses]


def test_fine_tuning_of_a_frozen_backbone_is_left_out(own: Registry, tmp_path: Path) -> None:
    plan = make_plan(suite(["bitfit"]), own, tmp_path)
    assert [str(out.reason) for out in plan.left_out] == ["bitfit trains the backbone, but that of frozen is frozen"]


def test_an_ensemble_and_a_selection_have_features(own: Registry, tmp_path: Path) -> None:
    changes = {"held_out": 0.2, "selection": "best"}
    plan = make_plan(suite(["bagging"], ["seed_ensemble"], **changes), own, tmp_path)
    assert kinds(plan)["features"] == 2 * FEATURE_PARTS
    assert all("features" in job.spec for job in plan.jobs.values() if job.kind == "fit")


def finished(plan: Plan, own: Registry, root: Path) -> dict[str, dict[str, object]]:
    context = Context(store=Store(root / "store"), registry=own, data_root=root)
    with Inline(context, Terms()) as executor:
        summary = run(plan, context, executor)
    assert not summary.failed
    return {cell.key: context.store.record(cell.key) for cell in plan.cells}  # type: ignore[misc]


def test_cells_of_features_run_rerun_and_agree_without_sharing(own: Registry, tmp_path: Path) -> None:
    plan = make_plan(suite(*ROWS, held_out=0.2), own, tmp_path)
    records = finished(plan, own, tmp_path / "first")
    # From the records alone.
    again = plan_of([validate(record, key) for key, record in records.items()], own)
    assert {job.key for job in again.jobs.values()} == set(plan.jobs)
    repeated = finished(again, own, tmp_path / "second")
    for key, record in records.items():
        assert repeated[key]["metrics"] == record["metrics"], label(plan, key)
    separate = without_sharing(plan)
    apart = finished(separate, own, tmp_path / "third")
    for cell in separate.cells:
        found, shared = apart[cell.key]["metrics"], records[cell.extra["shared"]]["metrics"]
        assert found.keys() == shared.keys()
        # Without a stack of the same fits; of fits that go on from a state, too.
        assert found == shared, label(plan, cell.extra["shared"])


def test_the_spec_of_a_cell_names_its_features_only_once() -> None:
    assert identity({"features": True}) != identity({})
