"""Every technique of the trainings, killed at a random step and resumed from a snapshot: the same bits as in one go."""

from __future__ import annotations

import graphlib
import random
from pathlib import Path

import msgspec
import pytest
from engine.accidents import fit_with_accident
from engine.world import Patterns
from safetensors.numpy import load_file
from support import registry_with

from ltbench.core.plugins import BUILT_IN
from ltbench.core.spec import Job
from ltbench.engine.fit import fit
from ltbench.executor import Context
from ltbench.planning.parts import make_plan
from ltbench.planning.suitability import missing_package
from ltbench.registry.registry import Registry
from ltbench.stages import TRAINING_STAGES, DatasetInfo, Images
from ltbench.store.store import Store
from ltbench.suite.suite import changed, find_suite

RECIPE = {"epochs": 10, "batch_size": 32, "lr": 0.05, "ema": 0.9, "precision": "fp32"}
"""Ten epochs of two batches: enough for every technique to begin."""
LONGER = {"weight_balancing": ("weight_balancing[until=1.3]",), "mislas": ("mixup", "mislas_stage2[until=1.3]")}
"""Rows with a short second phase, and the same with a longer one."""
OF_BACKBONES = ("adaptformer", "bitfit", "linear_probe", "lora", "norm_only")
MODELS = dict.fromkeys(OF_BACKBONES, "test_vit[resize=32]")
BUILT_INS = Registry.load()
ROWS = [
    LONGER.get(row[0], tuple(row))
    for row in [
        *find_suite("literature-quick", BUILT_INS).combinations,
        *([name] for name in (*OF_BACKBONES, "alternating_flip", "random_resized_crop")),
    ]
    if not any(map(missing_package, BUILT_INS.parse_all(row[0])))
]
"""Every technique with what it needs or is published with."""


class Enlarged(Patterns, frozen=True):
    """The patterns, each pixel four times: large enough for networks that pool often."""

    name = "enlarged_patterns"

    def info(self, root: Path) -> DatasetInfo:
        return msgspec.structs.replace(super().info(root), size=16, fingerprint="enlarged1")

    def load(self, root: Path) -> Images:
        images = super().load(root)
        parts = {name: getattr(images, name) for name in ("train_images", "test_images")}
        return msgspec.structs.replace(images, **{name: part.repeat(2, 2).repeat(2, 3) for name, part in parts.items()})


@pytest.fixture(scope="module")
def own() -> Registry:
    return registry_with(Patterns, Enlarged)


def fits(row: tuple[str, ...], registry: Registry, folder: Path, **changes: object) -> list[Job]:
    """Return the trainings of a row, those that others go on from or learn from first."""
    suite = changed(
        find_suite("quick", registry), name="kill", imbalance_factors=[3], held_out=0.1, techniques=[],
        combinations=[list(row)], seeds=[0],
        **{"datasets": ["patterns"], "models": [MODELS.get(row[0], "convnet")], "recipe": RECIPE} | changes,
    )  # fmt: skip
    plan = make_plan(suite, registry, folder)
    assert not plan.left_out
    (cell,) = [cell for cell in plan.cells if any(cell.extra["combination"].values())] or plan.cells
    graph = graphlib.TopologicalSorter[str]()
    wanted = [cell.key]
    while wanted:
        job = plan.jobs[wanted.pop()]
        graph.add(job.key, *job.reads)
        wanted += job.reads
    return [plan.jobs[key] for key in graph.static_order() if plan.jobs[key].kind == "fit"]


def steps_before(job: Job, context: Context) -> int:
    """Return the steps of the training that a training has gone on from; 0 if it has begun by itself."""
    state = context.store.meta(job.key)["resumed_from"]
    return context.store.meta(state)["steps"] if state else 0


def test_every_built_in_technique_of_a_training_is_killed(registry: Registry) -> None:
    ours = {
        name
        for name, entry in registry.entries.items()
        if entry.distribution == BUILT_IN
        and entry.technique.stage in TRAINING_STAGES
        and not entry.technique.baseline
        and not missing_package(entry.technique())
    }
    assert {t.name for row in ROWS for text in row for t in registry.parse_all(text)} >= ours


@pytest.mark.parametrize("row", ROWS, ids="+".join)
def test_a_training_that_is_killed_and_resumed_ends_with_the_same_bits(
    row: tuple[str, ...], own: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_same_bits("+".join(row), fits(row, own, tmp_path), own, tmp_path, monkeypatch)


def test_airnet_in_its_own_recipe_that_is_killed_and_resumed_ends_with_the_same_bits(
    own: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = find_suite("cifar10-lt", own).recipe
    jobs = fits(
        ("cb_sampler",), own, tmp_path, datasets=["enlarged_patterns"], models=["airnet[width=4]"],
        recipe=msgspec.structs.replace(recipe, epochs=6, batch_size=16, ema=0.9),
    )  # fmt: skip
    assert all(job.spec["recipe"]["summed_loss"] for job in jobs)
    assert_same_bits("airnet", jobs, own, tmp_path, monkeypatch)


def assert_same_bits(
    name: str, jobs: list[Job], own: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Assert that trainings that are killed at a random step and resumed end with the bits of those in one go."""
    whole = Context(store=Store(tmp_path / "whole"), registry=own, data_root=tmp_path)
    parts = msgspec.structs.replace(whole, store=Store(tmp_path / "parts"), snapshot_seconds=0.0)
    draw = random.Random(name)
    for job in jobs:
        fit(job, whole)
        steps, before = whole.store.meta(job.key)["steps"], steps_before(job, whole)
        at = draw.randrange(before + 1, steps)
        fit_with_accident(job, parts, monkeypatch, at, later=draw.randrange(min(2, steps - at)))
        one, other = (load_file(context.store.path(job.key) / "weights.safetensors") for context in (whole, parts))
        assert one.keys() == other.keys()
        different = [name for name in one if one[name].tobytes() != other[name].tobytes()]
        assert not different, f"killed after step {at} of {steps}"
