from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
import torch
from engine.accidents import Accident
from engine.trainings import training_of
from engine.world import CLASSES, Half, Inverse, Net, context_of, digest, fit_job, plain, same, weights
from safetensors.torch import load_file
from torch import nn

import ltbench.engine.fit
import ltbench.engine.stopwatch
from ltbench import Loss, Model
from ltbench.core.spec import Job
from ltbench.engine.fit import fit, training_subset
from ltbench.engine.frozen_features import features_of
from ltbench.engine.resume import Snapshots
from ltbench.engine.training import Training
from ltbench.errors import JobFailed
from ltbench.executor import Context
from ltbench.stages import Technique
from ltbench.store.training_states import end_state, snapshots
from ltbench_plugins.augments.crop_flip import CropFlip
from ltbench_plugins.losses.label_smooth import LabelSmooth
from ltbench_plugins.mixes.mixup import Mixup
from ltbench_plugins.samplers.cb_sampler import CbSampler

EVERYTHING = {"mix": Mixup(), "loss": LabelSmooth(), "weight": Inverse(), "sampler": CbSampler()}


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return context_of(tmp_path)


def trained(context: Context, job: Job) -> dict[str, torch.Tensor]:
    fit(job, context)
    return weights(context, job)


# --- the artefact -----------------------------------------------------------------------------------------------------


def test_a_fit_stores_weights_and_metadata(context: Context) -> None:
    job = fit_job(plain(**EVERYTHING))
    state = trained(context, job)
    assert state.keys() == Net().build(1, 8, 3).state_dict().keys()
    meta = context.store.meta(job.key)
    assert meta["spec"] == job.spec
    assert meta["data"]["counts"] == [30, 17, 10]
    assert meta["steps"] == 28  # 4 epochs of 7 batches
    assert meta["curve"].keys() == {"epoch", "loss", "lr", "accuracy"}
    assert meta["curve"]["epoch"] == [1, 2, 3, 4]
    cost = meta["cost"]
    assert cost["samples"] == 28 * 8
    assert cost["samples_per_second"] == pytest.approx(cost["samples"] / cost["train_seconds"])
    assert cost["parameters"] == sum(p.numel() for p in Net().build(1, 8, 3).parameters())
    assert cost["macs"] == 6 * 9 * 64 + 96 * 3  # by hand: a 3x3 convolution of 6 channels on 8x8, and the head
    assert cost["peak_memory_bytes"] > 1e7
    assert meta["environment"]["threads"] == 1
    assert {p["name"] for p in meta["plugins"]} == {
        "patterns", "exp", "net", "cb_sampler", "crop_flip", "mixup", "label_smooth", "inverse",
    }  # fmt: skip
    assert not context.store.has(end_state(job.key))


def test_it_learns(context: Context) -> None:
    job = fit_job(recipe={"epochs": 12, "lr": 0.1})
    fit(job, context)
    curve = context.store.meta(job.key)["curve"]
    assert curve["accuracy"][-1] > 0.8 > curve["accuracy"][0] + 0.2
    assert curve["loss"][-1] < curve["loss"][0] / 2


def test_a_stored_fit_is_not_trained_again(context: Context) -> None:
    job = fit_job()
    with context.store.writing(job.key) as folder:
        (folder / "meta.json").write_text("{}")
    fit(job, context)
    assert context.store.meta(job.key) == {}


def test_another_seed_gives_other_weights(context: Context) -> None:
    jobs = [fit_job(seed=seed) for seed in (0, 1)]
    for job in jobs:
        fit(job, context)
    assert not same(*(weights(context, job) for job in jobs))


# --- reproducibility --------------------------------------------------------------------------------------------------


def test_a_second_training_gives_the_same_bits(tmp_path: Path) -> None:
    job = fit_job(plain(**EVERYTHING))
    first, second = (trained(context_of(tmp_path / name), job) for name in ("one", "other"))
    assert same(first, second)


def test_a_fresh_process_gives_the_same_bits(tmp_path: Path) -> None:
    world = Path(__file__).with_name("world.py")
    run = subprocess.run(
        [sys.executable, str(world), str(tmp_path / "fresh")], capture_output=True, text=True, check=True
    )
    here = context_of(tmp_path / "here")
    fit(fit_job(), here)
    assert run.stdout.strip() == digest(here, fit_job())


def test_the_number_of_threads_around_it_changes_no_bit(tmp_path: Path) -> None:
    job, before = fit_job(), torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        two = trained(context_of(tmp_path / "two"), job)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert same(two, trained(context_of(tmp_path / "one"), job))


def test_the_state_of_the_process_is_left_as_it_was(context: Context) -> None:
    from plugins.checks import global_randomness_untouched

    with global_randomness_untouched():
        fit(fit_job(plain(**EVERYTHING), recipe={"epochs": 1}), context)
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.utils.deterministic.fill_uninitialized_memory


def test_dropout_has_a_stream_of_its_own(tmp_path: Path) -> None:
    torch.manual_seed(1)
    first = trained(context_of(tmp_path / "one"), fit_job())
    torch.manual_seed(2)
    assert same(first, trained(context_of(tmp_path / "other"), fit_job()))


def test_seeds_and_techniques_change_the_weights(context: Context) -> None:
    jobs = [fit_job(), fit_job(seed=1), fit_job(plain(weight=Inverse())), fit_job(plain(augment=None))]
    heads = [trained(context, job)["head.weight"] for job in jobs]
    assert len({tuple(w.flatten().tolist()) for w in heads}) == len(jobs)


def test_initial_weights_depend_on_the_seed_alone(context: Context) -> None:
    subset = training_subset(fit_job().spec, context)
    jobs = [fit_job(), fit_job(plain(**EVERYTHING), recipe={"lr": 0.3}), fit_job(seed=1)]
    states = [Training(job.spec, subset, context.registry, torch.device("cpu")).network.state_dict() for job in jobs]
    assert same(states[0], states[1])
    assert not same(states[0], states[2])


# --- continuing another fit -------------------------------------------------------------------------------------------


def assert_resumes(tmp_path: Path, *chain: Job) -> None:
    """Assert that the last job, continued from those before it, is bit-identical to an uninterrupted training."""
    parts, whole = context_of(tmp_path / "parts"), context_of(tmp_path / "whole")
    before: tuple[str, ...] = ()
    for job in chain:
        made = Job(key=job.key, kind="fit", spec=job.spec, parents=before, keep_state=True)
        fit(made, parts)
        assert parts.store.meta(job.key)["resumed_from"] == (end_state(before[0]) if before else None)
        before = (job.key,)
    fit(Job(key=job.key, kind="fit", spec=job.spec, keep_state=True), whole)
    assert same(weights(parts, job), weights(whole, job))
    metas = [context.store.meta(job.key) for context in (parts, whole)]
    for name in ("steps", "curve", "data"):
        assert metas[0][name] == metas[1][name]
    assert metas[0]["cost"]["samples"] == metas[1]["cost"]["samples"]
    states = [load_file(context.store.path(end_state(job.key)) / "state.safetensors") for context in (parts, whole)]
    assert same(*states)


@pytest.mark.parametrize("until", [0.5, 0.25, 0.37, 1 / 28])  # at the end of an epoch, in the middle of one
def test_half_and_half_is_the_whole(tmp_path: Path, until: float) -> None:
    assert_resumes(tmp_path, fit_job(plain(until, **EVERYTHING)), fit_job(plain(**EVERYTHING)))


def test_half_and_half_is_the_whole_without_the_held_out_images(tmp_path: Path) -> None:
    halves = [fit_job(plain(until, **EVERYTHING), held_out=0.2) for until in (0.37, 1.0)]
    assert_resumes(tmp_path, *halves)
    assert context_of(tmp_path / "whole").store.meta(halves[1].key)["data"]["held_out"] == [6, 3, 2]


@pytest.mark.parametrize(
    "recipe",
    [
        {"nesterov": True, "schedule": "multistep", "milestones": [0.3, 0.8], "warmup": 0.2},
        {"optimizer": "adam", "lr": 0.01},
        {"optimizer": "adamw", "lr": 0.01, "schedule": "constant"},
        {"optimizer": "rmsprop", "lr": 0.001},
        {"momentum": 0.0},
        {"epochs": None, "steps": 23},
        {"ema": 0.9},
    ],
    ids=str,
)
def test_half_and_half_is_the_whole_under_every_recipe(tmp_path: Path, recipe: dict[str, object]) -> None:
    assert_resumes(tmp_path, fit_job(plain(0.4), recipe=recipe), fit_job(plain(), recipe=recipe))


def test_a_second_half_with_another_loss_and_weight_continues_the_plain_first_half(tmp_path: Path) -> None:
    first = plain(0.5)
    assert_resumes(tmp_path, fit_job(first), fit_job(first, plain(loss=LabelSmooth(), weight=Inverse(), mix=Mixup())))


@pytest.mark.parametrize("until", [0.5, 0.4])
def test_a_second_half_with_another_sampler_continues_it_too(tmp_path: Path, until: float) -> None:
    first = plain(until)
    assert_resumes(tmp_path, fit_job(first), fit_job(first, plain(sampler=Half(), augment=None)))


def test_a_chain_of_many_parts(tmp_path: Path) -> None:
    first, second = plain(0.5), plain(sampler=CbSampler(), trainable="classifier", restart=True)
    assert_resumes(tmp_path, fit_job(plain(0.2)), fit_job(first), fit_job(first, second))


def test_a_parent_only_saves_time(tmp_path: Path) -> None:
    context = context_of(tmp_path)
    parent, child = fit_job(plain(0.5)), fit_job()
    fit(parent, context)  # without a state
    gone = Job(key=child.key, kind="fit", spec=child.spec, parents=(parent.key,))
    fit(gone, context)
    assert context.store.meta(child.key)["resumed_from"] is None
    assert same(weights(context, child), trained(context_of(tmp_path / "whole"), child))


@pytest.mark.parametrize(
    "child",
    [
        fit_job(plain(**EVERYTHING)),
        fit_job(seed=1),
        fit_job(plain(0.3)),
        fit_job(plain(0.2), plain(mix=Mixup())),
        fit_job(recipe={"epochs": 5}),
    ],
    ids=["techniques", "seed", "shorter", "segments", "recipe"],
)
def test_a_training_with_another_start_is_refused_as_parent(context: Context, child: Job) -> None:
    parent = fit_job(plain(0.5), keep_state=True)
    fit(parent, context)
    with pytest.raises(JobFailed, match="does not begin like"):
        fit(Job(key=child.key, kind="fit", spec=child.spec, parents=(parent.key,)), context)


def test_a_restarted_segment_cannot_be_cut(context: Context) -> None:
    first = plain(0.25)
    parent = fit_job(first, plain(0.5, restart=True), keep_state=True)
    fit(parent, context)
    child = fit_job(first, plain(1.0, restart=True))
    with pytest.raises(JobFailed, match="does not begin like"):
        fit(Job(key=child.key, kind="fit", spec=child.spec, parents=(parent.key,)), context)


# --- resuming after an accident ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", [1, 7, 13, 20])
@pytest.mark.parametrize(
    "later", [{}, {"loss": LabelSmooth(), "sampler": Half()}, {"restart": True, "average": "restart", "mix": Mixup()}]
)
def test_a_training_resumed_from_a_snapshot_is_bit_identical(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int, later: dict[str, object]
) -> None:
    job = fit_job(plain(0.5), plain(**later), recipe={"ema": 0.9})
    context = msgspec.structs.replace(context_of(tmp_path / "parts"), snapshot_seconds=0.0)
    real = Snapshots.__call__
    done: list[int] = []

    def until_the_accident(self: Snapshots, training: Training) -> None:
        done.append(training.steps)
        if training.steps == at:
            real(self, training)
        if training.steps == at + 3 and len(done) == at + 3:
            raise Accident

    monkeypatch.setattr(Snapshots, "__call__", until_the_accident)
    steps = trained_steps(job)
    if at + 3 < steps:
        with pytest.raises(Accident):
            fit(job, context)
        assert not context.store.has(job.key)
    fit(job, context)
    meta = context.store.meta(job.key)
    if at + 3 < steps:
        assert meta["resumed_from"] == snapshots(job.key)[0]
        assert done[at + 3 :][0] == at + 1, "it begins again"
    assert not any(map(context.store.has, snapshots(job.key)))
    assert same(weights(context, job), trained(context_of(tmp_path / "whole"), job))


def test_seconds_before_an_accident_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parent = fit_job(plain(0.5), keep_state=True)
    job = fit_job(plain(0.5), plain(loss=LabelSmooth()))
    job = Job(key=job.key, kind="fit", spec=job.spec, parents=(parent.key,))
    context = msgspec.structs.replace(context_of(tmp_path), snapshot_seconds=0.0)
    real, now = Snapshots.__call__, [0.0]
    for module in (ltbench.engine.fit, ltbench.engine.stopwatch):
        monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: now[0]))

    def a_second_a_step(self: Snapshots, training: Training) -> None:
        now[0] += 1
        if training.steps == 20:
            real(self, training)
        if training.steps == 22 and now[0] == 13 + 8:
            raise Accident

    monkeypatch.setattr(Snapshots, "__call__", a_second_a_step)
    fit(parent, context)
    with pytest.raises(Accident):
        fit(job, context)
    fit(job, context)
    # After the last step of a job nothing is called.
    cost = context.store.meta(job.key)["cost"]
    assert (cost["train_seconds"], cost["job_seconds"], cost["samples_per_second"]) == (26, 13, cost["samples"] / 26)
    assert context.store.meta(parent.key)["cost"]["train_seconds"] == 13


def trained_steps(job: Job) -> int:
    """Return the steps of four epochs; with `Half`, the last two are shorter."""
    return 28 if job.spec["segments"][1]["sampler"]["name"] != "half" else 14 + 8


def test_snapshots_alternate_and_the_latest_valid_one_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = fit_job()
    context = msgspec.structs.replace(context_of(tmp_path), snapshot_seconds=0.0)
    real = Snapshots.__call__

    def then_an_accident(self: Snapshots, training: Training) -> None:
        real(self, training)
        if training.steps == 9:
            raise Accident

    monkeypatch.setattr(Snapshots, "__call__", then_an_accident)
    with pytest.raises(Accident):
        fit(job, context)
    first, second = snapshots(job.key)
    assert (context.store.meta(first)["steps"], context.store.meta(second)["steps"]) == (9, 8)
    monkeypatch.setattr(Snapshots, "__call__", lambda self, training: None)
    file = context.store.path(first) / "state.safetensors"
    file.write_bytes(file.read_bytes()[:-9])
    fit(job, context)
    assert context.store.meta(job.key)["resumed_from"] == second
    assert same(weights(context, job), trained(context_of(tmp_path / "whole"), job))


def test_a_snapshot_of_another_plugin_version_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = fit_job()
    context = msgspec.structs.replace(context_of(tmp_path), snapshot_seconds=0.0)
    real = Snapshots.__call__

    def then_an_accident(self: Snapshots, training: Training) -> None:
        real(self, training)
        raise Accident

    monkeypatch.setattr(Snapshots, "__call__", then_an_accident)
    with pytest.raises(Accident):
        fit(job, context)
    monkeypatch.setattr(Snapshots, "__call__", lambda self, training: None)
    world = context.registry
    monkeypatch.setattr(world, "provenance", lambda technique: world.spec(technique) | {"version": "2"})
    fit(job, context)
    assert context.store.meta(job.key)["resumed_from"] is None


def test_a_state_of_another_plugin_version_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = context_of(tmp_path)
    parent, child = fit_job(plain(0.5), keep_state=True), fit_job()
    fit(parent, context)
    world = context.registry
    monkeypatch.setattr(world, "provenance", lambda technique: world.spec(technique) | {"version": "2"})
    fit(Job(key=child.key, kind="fit", spec=child.spec, parents=(parent.key,)), context)
    assert context.store.meta(child.key)["resumed_from"] is None


# --- phases -----------------------------------------------------------------------------------------------------------


def test_a_frozen_backbone_keeps_weights_and_batch_statistics(context: Context) -> None:
    first = plain(0.5)
    before, after = (
        trained(context, job)
        for job in (fit_job(first), fit_job(first, plain(trainable="classifier", sampler=CbSampler())))
    )
    for name, tensor in before.items():
        assert torch.equal(tensor, after[name]) == (not name.startswith("head.")), name


STILL = {"augment": None, "mix": None, "trainable": "classifier", "restart": True, "sampler": CbSampler()}


def test_a_frozen_backbone_computes_fixed_images_once(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    job = fit_job(plain(0.5), plain(**STILL))
    training = training_of(job, context)
    training.network.features.register_forward_hook(lambda _m, given, _out: seen.append(len(given[0])))
    training.run()
    assert sum(seen) == 14 * 8 + 57 + 57  # 14 steps of the first stage, the features, and the check of the first batch
    assert training.steps == 28


def test_the_second_stage_on_features_equals_the_one_on_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = fit_job(plain(0.5), plain(**STILL), recipe={"epochs": 8})
    fast = trained(context_of(tmp_path / "fast"), job)
    monkeypatch.setattr("ltbench.engine.training.features_of", lambda *_: None)
    slow = trained(context_of(tmp_path / "slow"), job)
    for name, tensor in fast.items():
        torch.testing.assert_close(tensor, slow[name], rtol=1e-4, atol=1e-5)


def test_a_second_stage_on_features_resumes_from_its_middle(tmp_path: Path) -> None:
    first, second = plain(0.5), plain(**STILL | {"restart": False})
    assert_resumes(tmp_path, fit_job(first), fit_job(first, second | {"until": 0.8}), fit_job(first, second))


class Scaled(Net, frozen=True):
    """A network that scales the output of its classifier."""

    name = "scaled"

    def build(self, channels: int, size: int, classes: int) -> nn.Module:
        network = super().build(channels, size, classes)
        network.register_forward_hook(lambda _module, _given, logits: logits * 2)
        return network


class Restless(Net, frozen=True):
    """A network with dropout in evaluation mode, too."""

    name = "restless"

    def build(self, channels: int, size: int, classes: int) -> nn.Module:
        network = super().build(channels, size, classes)
        network.features.register_forward_hook(lambda _m, _given, out: nn.functional.dropout(out, 0.5, training=True))
        return network


@pytest.mark.parametrize("model", [Scaled(), Restless()], ids=lambda model: model.name)
def test_networks_that_features_cannot_replace_are_trained_on_images(tmp_path: Path, model: Model) -> None:
    context = context_of(tmp_path, type(model))
    job = fit_job(plain(0.5), plain(**STILL), model=model)
    training = training_of(job, context)
    training.network.eval()
    assert features_of(training.network, training.feed, contextlib.nullcontext) is None
    training.run()
    assert training.steps == 28


def test_a_classifier_without_parameters_cannot_be_trained_alone(tmp_path: Path) -> None:
    class Headless(Model, frozen=True):
        name = "headless"

        def build(self, channels: int, size: int, classes: int) -> nn.Module:
            network = nn.Sequential(nn.Flatten(), nn.Linear(64, classes))
            network.get_classifier = lambda: network[0]
            return network

    job = fit_job(plain(0.5), plain(trainable="classifier"), model=Headless())
    with pytest.raises(JobFailed, match="model 'headless' returned a classifier without parameters"):
        fit(job, context_of(tmp_path, Headless))


def test_a_restart_forgets_the_optimiser_and_begins_the_curve_anew(context: Context) -> None:
    first = plain(0.5)
    job = fit_job(first, plain(restart=True, lr_scale=0.5))
    fit(job, context)
    rates = context.store.meta(job.key)["curve"]["lr"]
    assert rates[1] > rates[3]
    assert rates[2] == pytest.approx(0.5 * 0.05 * 0.611, rel=1e-2)  # (1 + cos(6 pi / 14)) / 2, the seventh of 14 steps
    goes_on = fit_job(first, plain(lr_scale=0.5))
    assert not same(trained(context, goes_on), weights(context, job))


def test_a_sampler_with_shorter_epochs_makes_a_shorter_training(context: Context) -> None:
    job = fit_job(plain(0.5), plain(sampler=Half()))
    fit(job, context)
    meta = context.store.meta(job.key)
    assert meta["steps"] == 2 * 7 + 2 * 4  # 28 images are four batches
    assert meta["curve"]["epoch"] == [1, 2, 3, 4]


def test_an_incomplete_epoch_has_an_entry_in_the_curve(context: Context) -> None:
    job = fit_job(recipe={"epochs": None, "steps": 10})
    fit(job, context)
    assert context.store.meta(job.key)["curve"]["epoch"] == [1, pytest.approx(10 / 7)]


def test_a_bag_trains_on_its_own_images_and_counts(context: Context) -> None:
    metas = []
    for number in (0, 1):
        job = fit_job(plain(weight=Inverse()), bag=number, recipe={"epochs": 1})
        fit(job, context)
        metas.append(context.store.meta(job.key))
    counts = [meta["data"]["counts"] for meta in metas]
    assert [sum(pair) for pair in zip(*counts, strict=True)] == [30, 17, 10]  # two parts of one division
    assert "bags" in {p["name"] for p in metas[0]["plugins"]}


def test_the_moving_average_predicts(context: Context) -> None:
    plain_job, averaged = fit_job(), fit_job(recipe={"ema": 0.99})
    last, mean = trained(context, plain_job), trained(context, averaged)
    assert last.keys() == mean.keys()
    assert not torch.equal(last["head.weight"], mean["head.weight"])


@pytest.mark.parametrize("warmup", [True, False])
def test_the_decay_of_the_average_follows_its_law(context: Context, warmup: bool) -> None:
    # Without random numbers in the network, a training of n steps passes through that of fewer.
    steps, recipe = 6, {"epochs": None, "schedule": "constant"}
    path = [
        trained(context, fit_job(recipe=recipe | {"steps": step}, model=Net(dropout=0.0)))["head.weight"]
        for step in range(1, steps + 1)
    ]
    expected = path[0]
    for step, weight in enumerate(path[1:], 2):
        decay = min(0.6, 1 - step ** (-2 / 3)) if warmup else 0.6
        expected = decay * expected + (1 - decay) * weight
    averaged = recipe | {"steps": steps, "ema": 0.6, "ema_warmup": warmup}
    assert torch.allclose(trained(context, fit_job(recipe=averaged, model=Net(dropout=0.0)))["head.weight"], expected)


@pytest.mark.parametrize("average", ["restart", "continue"])
def test_the_average_restarts_with_a_segment_that_says_so(context: Context, average: str) -> None:
    recipe = {"epochs": None, "steps": 8, "ema": 0.7}
    job = fit_job(plain(0.5), plain(trainable="classifier", restart=True, average=average), recipe=recipe)
    training = training_of(job, context)
    path: list[torch.Tensor] = []
    training.run(lambda now: path.append(now.network.head.weight.detach().clone()))
    path.append(training.network.head.weight.detach())
    began = path[4:] if average == "restart" else path
    expected = began[0]
    for step, weight in enumerate(began[1:], 2):
        decay = min(0.7, 1 - step ** (-2 / 3))
        expected = decay * expected + (1 - decay) * weight
    assert torch.allclose(training.predictor.head.weight, expected)


# --- errors -----------------------------------------------------------------------------------------------------------


def loss_of(expression: str) -> type[Loss]:
    class Odd(Loss, frozen=True):
        name = "odd"

        def per_sample(self, logits: torch.Tensor, labels: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
            return eval(expression)

    return Odd


def assert_fails(root: Path, job: Job, message: str, *techniques: type[Technique]) -> str:
    context = context_of(root, *techniques)
    with pytest.raises(JobFailed, match=message) as failed:
        fit(job, context)
    assert not context.store.has(job.key)
    return str(failed.value)


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_a_non_finite_loss_raises_with_step_epoch_and_techniques(tmp_path: Path, value: str) -> None:
    odd = loss_of(f"logits.logsumexp(1) * (float('{value}') if logits.abs().max() > 0.9 else 1.0)")
    text = assert_fails(tmp_path, fit_job(plain(loss=odd())), r"not finite at step \d+, in epoch \d", odd)
    assert "loss odd" in text
    assert "sampler shuffle" in text


def test_infinite_final_weights_raise(tmp_path: Path) -> None:
    # The last step alone makes them so: no loss after it could tell.
    odd = loss_of("logits[:, 0] * 1e36")
    job = fit_job(plain(loss=odd()), recipe={"epochs": None, "steps": 1, "lr": 1e6})
    assert_fails(tmp_path, job, "weights are not finite", odd)


def test_an_error_of_a_technique_names_it(tmp_path: Path) -> None:
    odd = loss_of("logits.no_such_method()")
    text = assert_fails(tmp_path, fit_job(plain(loss=odd())), "loss 'odd' raised AttributeError", odd)
    assert "test_fit" in text  # the module that it is from


def test_losses_of_a_wrong_shape_raise(tmp_path: Path) -> None:
    odd = loss_of("logits.logsumexp(1).mean()")
    assert_fails(tmp_path, fit_job(plain(loss=odd())), r"loss 'odd' returned losses float32 \[\]", odd)


def model_of(made: object) -> type[Model]:
    class Odd(Model, frozen=True):
        name = "odd"

        def build(self, channels: int, size: int, classes: int) -> nn.Module:
            return made

    return Odd


class _Wide(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(64, CLASSES + 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(images.flatten(1))

    def get_classifier(self) -> nn.Module:
        return self.head


class _Narrow(_Wide):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(images)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (_Wide(), r"model 'odd' returned logits float32 \[1, 4\]; expected float \[1, 3\]"),
        (_Narrow(), "the network of model 'odd' fails on an image"),
        (nn.Linear(3, 3), "without get_classifier"),
        (None, "model 'odd' returned NoneType; expected a torch.nn.Module"),
    ],
    ids=["classes", "image", "classifier", "none"],
)
def test_an_invalid_network_raises_and_names_its_model(tmp_path: Path, network: object, message: str) -> None:
    odd = model_of(network)
    assert_fails(tmp_path, fit_job(model=odd()), message, odd)


def test_a_training_without_steps_raises(tmp_path: Path) -> None:
    assert_fails(tmp_path, fit_job(plain(0.01), recipe={"epochs": 1}), "no steps")


def test_a_flip_alone_is_an_augmentation_like_any_other(context: Context) -> None:
    with_crop, without = fit_job(plain(augment=CropFlip(padding=1))), fit_job(plain(augment=CropFlip(padding=0)))
    assert not same(trained(context, with_crop), trained(context, without))
