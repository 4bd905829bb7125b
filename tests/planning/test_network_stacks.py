"""Which trainings a GPU runs in one stack: those that differ in data of equal size, techniques of single images, and seeds."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

import msgspec
import pytest
from engine.world import Net, Patterns
from support import registry_with

from ltbench.executor import Context, Terms
from ltbench.executors.inline import Inline
from ltbench.planning.parts import make_plan
from ltbench.planning.plan import Plan
from ltbench.registry.registry import Registry
from ltbench.running import runner
from ltbench.running.runner import run
from ltbench.store.store import Store
from ltbench.suite.suite import Suite

ROWS = [["balanced_softmax"], ["mixup"], ["cmo"], ["tta"], ["drw"], ["crt"], ["sam"], ["bbn"], ["manifold_mixup"]]


@pytest.fixture(scope="module")
def own() -> Registry:
    return registry_with(Patterns, Net)


def plan_of(own: Registry, folder: Path, **changes: object) -> Plan:
    fields: dict[str, object] = {
        "schema": 1, "name": "stacks", "title": "t", "question": "q", "datasets": ["patterns"], "imbalance_factors": [3],
        "models": ["convnet"], "combinations": ROWS, "seeds": [0, 1],
        "recipe": {"epochs": 2, "batch_size": 8, "lr": 0.05, "precision": "fp32"},
    }  # fmt: skip
    return make_plan(msgspec.convert(fields | changes, Suite), own, folder)


def stacks(plan: Plan) -> list[set[str]]:
    """Return the rows whose trainings are in one stack, of each stack."""
    found: dict[str, set[str]] = defaultdict(set)
    for cell in plan.cells:
        row = " + ".join(text for text in cell.extra["combination"].values() if text) or "baseline"
        for key in cell.reads:
            for job in (plan.jobs[key], *(plan.jobs[parent] for parent in plan.jobs[key].reads)):
                if job.together_on_gpu:
                    found[job.together_on_gpu].add(row)
    return sorted(found.values(), key=len, reverse=True)


def test_plain_trainings_of_all_seeds_are_one_stack(own: Registry, tmp_path: Path) -> None:
    plan = plan_of(own, tmp_path)
    assert stacks(plan)[0] >= {"baseline", "balanced_softmax", "mixup", "cmo"}
    alone = {"sam", "bbn"}
    assert not any(alone & rows for rows in stacks(plan))
    assert all(not job.together for job in plan.jobs.values())
    sizes = Counter(job.together_on_gpu for job in plan.jobs.values() if job.together_on_gpu)
    assert sizes.most_common(1)[0][1] >= 8  # four rows, two seeds


@pytest.mark.parametrize(
    "changes",
    [{"imbalance_factors": [3, 2]}, {"models": ["convnet", "net"]}, {"sweep": {"lr": [0.1, 0.2]}}, {"datasets": ["patterns", "fashion_mini"]}],
)  # fmt: skip
def test_other_sizes_networks_and_recipes_are_other_stacks(
    changes: dict[str, object], own: Registry, tmp_path: Path
) -> None:
    rows = {"combinations": [["balanced_softmax"]]}
    one, two = (stacks(plan_of(own, tmp_path, **rows, **more)) for more in ({}, changes))
    assert len(one) == 1
    assert len(two) == 2


def test_a_moving_average_trains_by_itself(own: Registry, tmp_path: Path) -> None:
    recipe = {"epochs": 2, "batch_size": 8, "lr": 0.05, "precision": "fp32", "ema": 0.9}
    assert not stacks(plan_of(own, tmp_path, recipe=recipe))


@pytest.mark.parametrize(("device", "times"), [("cpu", 8), ("cuda:0", 3)])
def test_a_run_on_a_gpu_trains_them_together(
    device: str, times: int, own: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The queue is that of a GPU; what it hands out trains on the CPU.
    stacked = runner._stacked_on
    monkeypatch.setattr(runner, "_stacked_on", lambda _cpu, jobs: stacked(device, jobs))
    context = Context(store=Store(tmp_path / "store"), registry=own, data_root=tmp_path)
    plan = plan_of(own, tmp_path, combinations=[["balanced_softmax"], ["mixup"], ["sam"]])
    assert not run(plan, context, Inline(context, Terms())).failed
    fits = [job.key for job in plan.jobs.values() if job.kind == "fit"]
    assert len(fits) == 8
    # All of a stack have its mean time; two train by themselves.
    assert len({context.store.meta(key)["cost"]["train_seconds"] for key in fits}) == times
