"""Every pair of techniques of different stages, trained together once; and every technique, on and off.

A covering set of pairs: few combinations of many techniques in which every two techniques of different stages meet. Each
is trained for a few steps and scored, so what goes wrong between two plugins goes wrong here.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import make_executor, registry_with

from ltbench import Dataset, DatasetInfo, Ensemble, Images
from ltbench.cli.asked_suite import every_technique
from ltbench.core.spec import Job
from ltbench.executor import Context, Terms
from ltbench.planning.combinations import Combination, reason_left_out
from ltbench.planning.parts import make_plan
from ltbench.planning.suitability import missing_package, reason_against
from ltbench.registry.registry import Registry
from ltbench.running.options import RunOptions
from ltbench.running.runner import run
from ltbench.stages import TECHNIQUE_STAGES, TRAINING_STAGES, Technique
from ltbench.store.store import Store
from ltbench.suite.suite import Suite, changed, find_suite

CLASSES, TRAIN, TEST, SIZE = 4, 24, 3, 12
MODELS = ("convnet", "resnet20", "mobilenetv3_small_050", "test_vit[resize=32]")
"""The last one is a transformer; the first one is by far the fastest."""
STEPS = 3
"""One for the first stage of a regime at least, and one for the second."""
LR = 0.001
"""Low, and no batch of a bag is of two or three images: there, batch normalisation makes a deep network explode."""
LATER = {
    "cmo": "it is off in the first four epochs",
    "cuda": "no class is augmented in the first epoch",
}
"""Techniques without an effect in so few steps, with the reason."""
TRIES = 25
"""Random combinations from which the one with most new pairs is taken."""
Row = dict[str, Technique]
Pair = tuple[Technique, Technique]


class Patches(Dataset, frozen=True):
    """Noise of another brightness for each class, in colour."""

    name = "patches"
    augment = "crop_flip"

    def info(self, root: Path) -> DatasetInfo:
        return DatasetInfo(
            classes=tuple("abcd"), train_counts=(TRAIN,) * CLASSES, test_counts=(TEST,) * CLASSES, channels=3, size=SIZE,
            mean=(0.4,) * 3, std=(0.2,) * 3, fingerprint="patches1",
        )  # fmt: skip

    def load(self, root: Path) -> Images:
        rng = np.random.default_rng(0)
        parts: dict[str, Any] = {}
        for split, each in (("train", TRAIN), ("test", TEST)):
            labels = np.arange(CLASSES).repeat(each)
            noise = rng.integers(0, 100, (len(labels), 3, SIZE, SIZE))
            parts |= {f"{split}_images": (noise + 40 * labels[:, None, None, None]).astype(np.uint8)}
            parts |= {f"{split}_labels": labels}
        return Images(**parts)


@pytest.fixture(scope="module")
def own() -> Registry:
    return registry_with(Patches)


@pytest.fixture(scope="module")
def suite(own: Registry) -> Suite:
    return changed(
        find_suite("quick", own), name="covering", datasets=["patches"], imbalance_factors=[8], models=["convnet"], held_out=0.1,
        techniques=[], seeds=[0], recipe={"steps": STEPS, "batch_size": 20, "lr": LR, "precision": "fp32"},
    )  # fmt: skip


def pairs(row: Row) -> set[Pair]:
    """Return the pairs of a row, each in the order of the stages."""
    return set(itertools.combinations((row[stage] for stage in (*TECHNIQUE_STAGES, "model") if stage in row), 2))


def reason(row: Row) -> str:
    """Return why the grid leaves a row out; empty where it runs."""
    picked = [row[stage] for stage in TECHNIQUE_STAGES if stage in row]
    ensemble = row.get("ensemble")
    members = [member.model for member in ensemble.members([TRAIN] * CLASSES)] if isinstance(ensemble, Ensemble) else []
    models = [Registry.load().parse(name, "model") for name in members if name] or [
        row[s] for s in ("model",) if s in row
    ]
    against = [reason_against([technique], [model]) for technique in picked for model in models]
    return reason_left_out(Combination(tuple(picked))) or next(filter(None, against), "")


def covering(choices: dict[str, Sequence[Technique]], seed: int = 0) -> tuple[list[Row], set[Pair]]:
    """Return rows that run in which every pair is, and the pairs for which there is no such row.

    choices: alternatives by stage; a row has one of each stage, or none. Greedy: of some rows around a pair that is still
    missing, each filled at random with what has most missing pairs there, the one with most missing pairs. Pairs that take
    long to train come first: later rows are filled with what is missing, so few of them have these techniques.
    """
    draw = random.Random(seed)
    missing = {
        (one, other)
        for first, second in itertools.combinations((s for s in (*TECHNIQUE_STAGES, "model") if s in choices), 2)
        for one in choices[first]
        for other in choices[second]
    }
    rows, impossible = [], set()
    order = sorted(missing, key=lambda pair: (*_dear(pair), pair[0].label, pair[1].label))
    for pair in order:
        if pair not in missing:
            continue
        fixed = {technique.stage: technique for technique in pair}
        tried = [_around(choices, fixed, missing, draw) for _ in range(TRIES)]
        usable = [row for row in tried if "model" in row and not reason(row)]
        if not usable:
            impossible.add(pair)
            missing.remove(pair)
            continue
        best = max(usable, key=lambda row: len(pairs(row) & missing))
        rows.append(best)
        missing -= pairs(best)
    return rows, impossible


def _dear(pair: Pair) -> list[bool]:
    """Return a key that sorts pairs that train several networks, or slow ones, first."""
    return [pair[1].stage != "model" or pair[1].label == MODELS[0]] + [
        stage not in {technique.stage for technique in pair} for stage in ("ensemble", "branches", "regime")
    ]


def _around(choices: dict[str, Sequence[Technique]], fixed: Row, missing: set[Pair], draw: random.Random) -> Row:
    """Return a random row with these techniques, what they need, and others that add missing pairs and still run."""
    row = dict(fixed)
    while unmet := [
        need for one in row.values() for need in one.needs if need not in {*row, *(t.name for t in row.values())}
    ]:
        offered = [
            t for stage, them in choices.items() for t in them if unmet[0] in {stage, t.name} and stage not in row
        ]
        if not offered:
            return row
        needed = draw.choice(offered)
        row[needed.stage] = needed
    if "model" not in row:
        row = next((made for model in choices["model"] if not reason(made := row | {"model": model})), row)
    if "model" not in row:
        return row
    fast = choices["model"][0]
    wanted = row
    if row["model"] != fast:
        # Of a slow model only what has not met it, and what has not met a technique that the fast one does not run with.
        wanted = {s: t for s, t in fixed.items() if reason({"model": fast} | {s: t})} | {"model": row["model"]}
    stages = [stage for stage in choices if stage not in row]
    for stage in draw.sample(stages, len(stages)):
        offered = [t for t in choices[stage] if missing & pairs(wanted | {stage: t}) - pairs(wanted)]
        draw.shuffle(offered)
        offered.sort(key=lambda t: -len(missing & pairs(row | {stage: t})))
        row = next((made for t in offered if not reason(made := row | {stage: t})), row)
    return row


def alternatives(registry: Registry) -> dict[str, Sequence[Technique]]:
    """Return every registered technique that a combination can pick, by stage, and some models."""
    made = [one for one in map(registry.parse, every_technique(registry)) if not missing_package(one)]
    stages = {stage: [t for t in made if t.stage == stage] for stage in TECHNIQUE_STAGES}
    return {stage: them for stage, them in stages.items() if them} | {"model": [registry.parse(m) for m in MODELS]}


def train(suite: Suite, registry: Registry, folder: Path) -> tuple[list[Job], Store]:
    """Run a suite in this process; return its cells and the store."""
    context = Context(store=Store(folder / "store"), registry=registry, data_root=folder / "data")
    plan = make_plan(suite, registry, folder / "data")
    assert not plan.left_out, [(o.combination.label, o.reason) for o in plan.left_out]
    with make_executor("inline", context, Terms(workers=1, timeout=None)) as executor:
        summary = run(plan, context, executor, RunOptions(retries=0))
    failed = {str(plan.jobs[key].extra["combination"]): context.store.record(key)["error"] for key in summary.failed}
    assert not failed
    assert summary.done == len(plan.cells)
    return plan.cells, context.store


@pytest.fixture(scope="module")
def covered(own: Registry) -> tuple[list[Row], set[Pair]]:
    """The rows of the covering set, and the impossible pairs."""
    return covering(alternatives(own))


def test_the_covering_set_has_every_pair_or_a_reason_against_it(
    own: Registry, covered: tuple[list[Row], set[Pair]]
) -> None:
    choices = alternatives(own)
    rows, impossible = covered
    there = set().union(*map(pairs, rows))
    for first, second in itertools.combinations(choices, 2):
        for one, other in itertools.product(choices[first], choices[second]):
            assert ((one, other) in there) != ((one, other) in impossible), (one.label, other.label)
    for pair in impossible:
        row = {technique.stage: technique for technique in pair}
        # Or no model goes with both.
        assert all(reason({"model": model} | row) for model in choices["model"]), [t.label for t in pair]
    # Any covering set has a row for each pair of the two largest stages.
    largest, second = sorted(map(len, choices.values()))[:-3:-1]
    assert len(rows) < 2 * largest * second, "a covering set is small"


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_every_pair_of_techniques_trains_and_is_scored(
    model: str, own: Registry, suite: Suite, covered: tuple[list[Row], set[Pair]], tmp_path: Path
) -> None:
    of_model = [row for row in covered[0] if row["model"].label == model]
    assert of_model
    listed = [[t.label for stage, t in row.items() if stage != "model"] for row in of_model]
    cells, store = train(changed(suite, models=[model], combinations=[r for r in listed if r]), own, tmp_path)
    for cell in cells:
        assert 0 <= store.record(cell.key)["metrics"]["top1"] <= 1


# --- on and off -------------------------------------------------------------------------------------------------


def training_techniques() -> list[str]:
    registry = Registry.load()
    made = [registry.parse(name) for name in every_technique(registry)]
    return [t.name for t in made if t.stage in TRAINING_STAGES and not reason_left_out(Combination((t,)))]


def weights(suite: Suite, registry: Registry, folder: Path) -> dict[str, dict[str, np.ndarray]]:
    """Return the trained weights of each combination of a suite, by what it picks."""
    from safetensors.numpy import load_file

    cells, store = train(suite, registry, folder)
    made = {}
    for cell in cells:
        picked = " + ".join(label for label in cell.extra["combination"].values() if label)
        (fit,) = cell.spec["members"]
        made[picked] = load_file(store.path(fit) / "weights.safetensors")
    return made


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(one[name].tobytes() == other[name].tobytes() for name in one)


@pytest.fixture(scope="module")
def trained(own: Registry, suite: Suite, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, np.ndarray]]:
    """Weights without any technique and with each one alone, trained one after the other in this process."""
    alone = [[name] for name in training_techniques() if name != Patches.augment]
    return weights(changed(suite, combinations=alone), own, tmp_path_factory.mktemp("each"))


@pytest.mark.slow
@pytest.mark.xdist_group("covering")
@pytest.mark.parametrize("name", [name for name in training_techniques() if name != Patches.augment])
def test_a_technique_that_is_on_changes_the_training(name: str, trained: dict[str, dict[str, np.ndarray]]) -> None:
    assert same(trained[name], trained[""]) == (name in LATER)


@pytest.mark.slow
@pytest.mark.xdist_group("covering")
def test_techniques_that_are_off_leave_a_training_as_it_is(
    own: Registry, suite: Suite, trained: dict[str, dict[str, np.ndarray]], tmp_path: Path
) -> None:
    # Trained after all the others in one process, and naming the data set's own augmentation, which is what it has anyway.
    again = weights(changed(suite, combinations=[[Patches.augment]]), own, tmp_path)
    assert list(again) == [""], "the same training under another name is the same cell"
    assert same(again[""], trained[""])


def test_a_view_or_an_adjustment_afterwards_trains_nothing_else(own: Registry, suite: Suite) -> None:
    folder = Path("unused")
    plain = {job.key for job in make_plan(suite, own, folder).of_kind("fit")}
    late = [own.parse(name) for name in every_technique(own)]
    late = [t for t in late if t.stage in {"view", "posthoc"} and not reason_left_out(Combination((t,)))]
    for name in (technique.name for technique in late):
        plan = make_plan(changed(suite, techniques=[name]), own, folder)
        assert {job.key for job in plan.of_kind("fit")} == plain, name
        assert len(plan.cells) == 2, name
