"""What a phase changes: the end of the training, the classifier, batch normalisation, weight decay, norms."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import torch
from engine.accidents import fit_with_accident
from engine.test_fit import assert_resumes, trained
from engine.trainings import training_of
from engine.world import Net, World, context_of, fit_job, plain, same, weights
from torch import nn

from ltbench import Auxiliary, Branches, Head, Model, Moment, Outputs
from ltbench.core.spec import Job, Spec, identity
from ltbench.engine.fit import fit
from ltbench.engine.phase_changes import ScaledClassifier, norm_limit
from ltbench.engine.training import Training
from ltbench.errors import JobFailed
from ltbench.stages import Technique
from ltbench_plugins.mixes.mixup import Mixup
from ltbench_plugins.samplers.cb_sampler import CbSampler

SECOND = {"trainable": "classifier", "restart": True, "sampler": CbSampler()}
CHANGES: dict[str, Spec] = {
    "fresh": SECOND | {"classifier": "fresh"},
    "fresh_whole": {"classifier": "fresh"},
    "fresh_on_features": SECOND | {"classifier": "fresh", "augment": None},
    "scale": SECOND | {"classifier": "scale"},
    "scale_on_features": SECOND | {"classifier": "scale", "augment": None},
    "statistics": SECOND | {"batch_norm": "statistics", "augment": None},
    "learn": SECOND | {"batch_norm": "learn"},
    "frozen": {"batch_norm": "frozen", "mix": Mixup()},
    "balanced": SECOND | {"weight_decay_scale": 200.0, "max_norm": 0.1},
    "balanced_on_features": SECOND | {"weight_decay_scale": 200.0, "max_norm": 0.1, "augment": None},
}
BEYOND = 1.35
"""End of a second stage that follows the finished training: 28 steps, then 10."""


def job_of(name: str, *, start: float = 1.0, end: float = BEYOND, **options: object) -> Job:
    """Return a training of two stages, the second with one of the changes."""
    change = CHANGES[name] | {"restart": True}
    if "recipe" in options and "ema" in options["recipe"]:
        change |= {"average": "restart"}
    return fit_job(plain(start), plain(end, **change), **options)


def at_step(training: Training, step: int, look: Callable[[Training], object]) -> object:
    """Run a training, and return what `look` sees after a step."""
    seen: list[object] = []
    training.run(lambda it: seen.append(look(it)) if it.steps == step else None)
    return seen[0]


# --- beyond the end ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("recipe", [{}, {"ema": 0.9}], ids=str)
@pytest.mark.parametrize("name", CHANGES)
def test_a_second_stage_continues_the_finished_training(tmp_path: Path, name: str, recipe: dict[str, object]) -> None:
    assert_resumes(tmp_path, fit_job(plain(), recipe=recipe), job_of(name, recipe=recipe))


def test_a_stage_after_the_end_has_a_whole_schedule(tmp_path: Path) -> None:
    context = context_of(tmp_path)
    training = training_of(job_of("fresh", end=1.5), context)
    training.run()
    assert training.steps == 28 + 14
    rates = training.curve.entries()["lr"]
    assert rates[3] < 0.001, "the cosine of the first stage has ended"
    assert rates[5] < 0.001 < 0.01 < rates[4], "two epochs with a cosine of their own"
    assert training.curve.entries()["epoch"][-1] == 6


# --- the classifier ---------------------------------------------------------------------------------------------------


def test_a_fresh_classifier_has_a_stream_of_its_own(tmp_path: Path) -> None:
    context = context_of(tmp_path)
    frozen = {"lr_scale": 1e-30}
    job = fit_job(plain(0.5), plain(classifier="fresh", **SECOND, **frozen))
    before, after = trained(context, fit_job(plain(0.5))), trained(context, job)
    initial = training_of(job, context).network.state_dict()
    for name in ("head.weight", "head.bias"):
        assert not torch.equal(after[name], before[name])
        assert not torch.equal(after[name], initial[name]), "not the initial one once more"
        assert after[name].abs().max() <= 96**-0.5, "but as torch initialises it"
    assert torch.equal(after["features.0.weight"], before["features.0.weight"])
    again = trained(
        context_of(tmp_path / "other"), fit_job(plain(0.3, mix=Mixup()), plain(classifier="fresh", **SECOND, **frozen))
    )
    assert torch.equal(after["head.weight"], again["head.weight"]), "paired, whatever comes before"
    twice = fit_job(
        plain(0.3),
        plain(0.6, classifier="fresh", **SECOND, **frozen),
        plain(1.0, classifier="fresh", **SECOND, **frozen),
    )
    assert not torch.equal(trained(context, twice)["head.weight"], after["head.weight"]), "drawn anew each time"


def test_a_fresh_classifier_without_restart_has_no_momentum(tmp_path: Path) -> None:
    training = training_of(fit_job(plain(0.5), plain(classifier="fresh")), context_of(tmp_path))
    start: dict[str, torch.Tensor] = {}

    def look(it: Training) -> None:
        if it.steps == 15:
            start.update({n: p.grad for n, p in it.network.named_parameters()})
            state = it.optimizer.state
            head, conv = it.network.head.weight, it.network.features[0].weight
            # After one step, the momentum is the gradient with weight decay.
            assert not torch.equal(state[conv]["momentum_buffer"], conv.grad)
            torch.testing.assert_close(state[head]["momentum_buffer"], head.grad, atol=1e-3, rtol=0)

    training.run(look)
    assert start


def test_only_the_factors_learn(tmp_path: Path) -> None:
    context = context_of(tmp_path)
    first, job = fit_job(plain(0.5)), job_of("scale", start=0.5, end=1.0)
    before, after = trained(context, first), trained(context, job)
    factors = (after["head.weight"] / before["head.weight"]).mean(1)
    assert after.keys() == before.keys()
    assert not torch.allclose(factors, torch.ones(3), atol=1e-3)
    # One factor for each class, of its weights and its bias.
    torch.testing.assert_close(after["head.weight"], factors[:, None] * before["head.weight"])
    torch.testing.assert_close(after["head.bias"], factors * before["head.bias"])
    for name in before.keys() - {"head.weight", "head.bias"}:
        assert torch.equal(before[name], after[name]), name


def test_a_step_of_the_factors_is_that_of_the_equation(tmp_path: Path) -> None:
    # z = s * (W x + b), so dL/ds_c = mean over the batch of (p_c - y_c) (W x + b)_c; SGD from s = 1, decay included.
    context = context_of(tmp_path)
    change = SECOND | {"classifier": "scale", "augment": None}
    job = fit_job(plain(0.5), plain(15 / 28, **change), recipe={"weight_decay": 0.01}, model=Net(dropout=0.0))
    training = training_of(job, context)
    batches: list[torch.Tensor] = []
    take = training.feed.next
    training.feed.next = lambda now: batches.append(take(now)) or batches[-1]
    training.run()
    network, batch = training.network.eval(), batches[-1]
    start = trained(
        context_of(tmp_path / "start"), fit_job(plain(0.5), recipe={"weight_decay": 0.01}, model=Net(dropout=0.0))
    )
    logits = batch.images @ start["head.weight"].T + start["head.bias"]
    error = logits.softmax(1) - torch.nn.functional.one_hot(batch.labels_a, 3)
    factors = 1 - 0.05 * ((error * logits).mean(0) + 0.01 * 1)
    torch.testing.assert_close(network.head.weight, factors[:, None] * start["head.weight"])


def test_the_factors_of_an_average_are_folded_too(tmp_path: Path) -> None:
    context = context_of(tmp_path)
    training = training_of(job_of("scale", start=0.5, end=1.0, recipe={"ema": 0.9}), context)
    kinds = at_step(training, 20, lambda it: [type(net.head) for net in (it.network, it.predictor)])
    assert kinds == [ScaledClassifier, ScaledClassifier]
    assert [type(net.head) for net in (training.network, training.predictor)] == [nn.Linear, nn.Linear]
    assert not torch.equal(training.network.head.weight, training.predictor.head.weight)


def test_a_scaled_classifier_is_the_linear_layer_with_its_logits() -> None:
    layer = nn.Linear(4, 3)
    scaled = ScaledClassifier(layer)
    with torch.no_grad():
        scaled.factors.copy_(torch.tensor([1.0, 2.0, -0.5]))
    features = torch.randn(5, 4)
    logits = scaled(features)
    torch.testing.assert_close(logits, nn.functional.linear(features, scaled.weight, scaled.bias))
    torch.testing.assert_close(logits[:, 1], 2 * layer(features)[:, 1])
    torch.testing.assert_close(scaled.folded()(features), logits)
    without = ScaledClassifier(nn.Linear(4, 3, bias=False))
    assert without.bias is None
    assert without.in_features == 4


class Cosine(nn.Linear):
    """A linear layer of normalised weights."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(features, nn.functional.normalize(self.weight))


class Angles(Net, frozen=True):
    """A network with a classifier that factors of logits cannot be part of."""

    name = "angles"

    def build(self, channels: int, size: int, classes: int) -> nn.Module:
        network = super().build(channels, size, classes)
        network.head = Cosine(96, classes, bias=False)
        return network


def test_factors_need_a_linear_classifier(tmp_path: Path) -> None:
    job = job_of("scale", start=0.5, end=1.0, model=Angles())
    with pytest.raises(JobFailed, match="scales the logits of each class, but the classifier is Cosine"):
        fit(job, context_of(tmp_path, Angles))


class Twice(Head, frozen=True):
    """Two linear layers."""

    name = "twice"

    def build(self, features: int, classes: int, counts: torch.Tensor) -> nn.Module:
        head = nn.Sequential(nn.Linear(features, 5), nn.Linear(5, classes))
        head.in_features = features
        return head


class Blocks(Net, frozen=True):
    """The network in two blocks, as branches need it."""

    name = "blocks"

    def build(self, channels: int, size: int, classes: int) -> nn.Module:
        network = super().build(channels, size, classes)
        network.blocks = lambda: [network.features[:2], network.features[2:]]
        network.forward_head = lambda maps: network.head(network.dropout(maps.flatten(1)))
        return network


class Pair(Branches, frozen=True):
    """Two branches."""

    name = "pair"

    def number(self) -> int:
        return 2

    def shared(self, blocks: int) -> int:
        return 1


def with_parts(job: Job, **parts: Technique) -> Job:
    """Return a job with more parts of the network."""
    spec = job.spec | {stage: World().spec(technique) for stage, technique in parts.items()}
    return Job(key=identity(spec), kind="fit", spec=spec)


def test_a_fresh_classifier_is_of_the_head_of_the_cell(tmp_path: Path) -> None:
    context = context_of(tmp_path, Twice)
    still = {"lr_scale": 1e-30}
    parts = [plain(0.5), plain(classifier="fresh", **SECOND, **still)]
    before, after = (trained(context, with_parts(fit_job(*parts[:n]), head=Twice())) for n in (1, 2))
    assert changed(before, after) == {f"head.{layer}.{kind}" for layer in (0, 1) for kind in ("weight", "bias")}
    with pytest.raises(JobFailed, match="the classifier is Sequential"):
        fit(with_parts(job_of("scale", start=0.5, end=1.0), head=Twice()), context)


def test_every_branch_has_a_classifier_of_its_own_that_changes(tmp_path: Path) -> None:
    context = context_of(tmp_path, Blocks, Pair)
    first = with_parts(fit_job(plain(0.5), model=Blocks()), branches=Pair())
    before = trained(context, first)
    heads = {f"branches.{branch}.network.head.{kind}" for branch in (0, 1) for kind in ("weight", "bias")}
    assert heads <= before.keys()
    for name in ("fresh", "scale"):
        job = with_parts(job_of(name, start=0.5, end=1.0, model=Blocks()), branches=Pair())
        after = trained(context, job)
        assert changed(before, after) == heads, name
        assert not torch.equal(after["branches.0.network.head.weight"], after["branches.1.network.head.weight"])


class Slow(Auxiliary, frozen=True):
    """The distance to a moving average of the network."""

    name = "slow"
    momentum = 0.9

    def term(self, views: list[Outputs], labels: torch.Tensor, counts: torch.Tensor, moment: Moment) -> torch.Tensor:
        return (views[0].logits - views[0].slow.logits).square().mean()


@pytest.mark.parametrize("classifier", ["fresh", "scale"])
def test_a_moving_average_for_an_auxiliary_begins_with_the_changed_classifier(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, classifier: str
) -> None:
    phases = [plain(0.5), plain(0.8, classifier=classifier, **SECOND), plain(1.0, restart=True)]
    job = fit_job(*(phase | {"auxiliary": Slow()} for phase in phases))
    whole = trained(context_of(tmp_path / "whole", Slow), job)
    for at in (16, 23, 26):
        context = msgspec.structs.replace(context_of(tmp_path / str(at), Slow), snapshot_seconds=0.0)
        fit_with_accident(job, context, monkeypatch, at)
        assert same(weights(context, job), whole), at


# --- batch normalisation, decay, norms --------------------------------------------------------------------------------


def changed(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
    return {name for name in before if not torch.equal(before[name], after[name])}


HEAD = {"head.weight", "head.bias"}
AFFINE = {"features.1.weight", "features.1.bias"}
STATISTICS = {"features.1.running_mean", "features.1.running_var", "features.1.num_batches_tracked"}


@pytest.mark.parametrize(
    ("trainable", "batch_norm", "expected"),
    [
        ("classifier", "", HEAD),
        ("classifier", "frozen", HEAD),
        ("classifier", "statistics", HEAD | STATISTICS),
        ("classifier", "learn", HEAD | STATISTICS | AFFINE),
        ("all", "", HEAD | STATISTICS | AFFINE | {"features.0.weight"}),
        ("all", "learn", HEAD | STATISTICS | AFFINE | {"features.0.weight"}),
        ("all", "statistics", HEAD | STATISTICS | {"features.0.weight"}),
        ("all", "frozen", HEAD | {"features.0.weight"}),
    ],
)
@pytest.mark.parametrize("still", [False, True])
def test_batch_normalisation(tmp_path: Path, trainable: str, batch_norm: str, expected: set[str], still: bool) -> None:
    context = context_of(tmp_path)
    second = {"trainable": trainable, "batch_norm": batch_norm, **({"augment": None} if still else {})}
    before, after = trained(context, fit_job(plain(0.5))), trained(context, fit_job(plain(0.5), plain(**second)))
    assert changed(before, after) == expected


def test_the_next_phase_learns_as_usual(tmp_path: Path) -> None:
    context = context_of(tmp_path)
    parts = [plain(0.4), plain(0.6, batch_norm="frozen"), plain()]
    assert changed(trained(context, fit_job(*parts[:2])), trained(context, fit_job(*parts))) >= AFFINE | STATISTICS


def test_weight_decay_is_scaled_in_its_phase_alone(tmp_path: Path) -> None:
    context = context_of(tmp_path)
    training = training_of(fit_job(plain(0.5), plain(0.8, weight_decay_scale=20.0), plain()), context)
    decays: list[float] = []
    training.run(lambda it: decays.append(it.optimizer.param_groups[0]["weight_decay"]))
    assert decays[:14] == [5e-4] * 14
    assert decays[14] == pytest.approx(0.01)
    assert decays[-1] == 5e-4
    heads = [trained(context, fit_job(plain(weight_decay_scale=scale)))["head.weight"] for scale in (1.0, 2.0)]
    doubled = trained(context, fit_job(recipe={"weight_decay": 1e-3}))["head.weight"]
    assert torch.equal(heads[1], doubled)
    assert not torch.equal(heads[0], doubled)


def test_norms_are_limited_after_each_step(tmp_path: Path) -> None:
    context = context_of(tmp_path)
    norms: list[torch.Tensor] = []
    training = training_of(job_of("balanced", start=0.5, end=1.0), context)
    training.run(lambda it: norms.append(it.network.head.weight.detach().norm(dim=1)))
    assert min(norm.min() for norm in norms[:14]) > 0.1, "not before the phase"
    assert max(norm.max() for norm in norms[14:]) <= 0.1 + 1e-6
    assert max(norm.max() for norm in norms[14:]) > 0.099


def test_a_limit_keeps_directions_and_short_weights() -> None:
    network = Net().build(1, 8, 2)
    with torch.no_grad():
        network.head.weight.zero_()[:, :2] = torch.tensor([[3.0, 4.0], [0.03, 0.04]])
    norm_limit(network, 1.0)()
    torch.testing.assert_close(network.head.weight[:, :2], torch.tensor([[0.6, 0.8], [0.03, 0.04]]))


@pytest.mark.parametrize("name", ["fresh_on_features", "scale_on_features", "balanced_on_features"])
def test_a_stage_on_features_equals_the_one_on_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    job = job_of(name, start=0.5, end=1.0, recipe={"ema": 0.9}, model=Net(dropout=0.0))
    fast = training_of(job, context_of(tmp_path))
    images: list[int] = []
    fast.network.features.register_forward_pre_hook(lambda _module, given: images.append(len(given[0])))
    fast.run()
    assert sum(images) == 14 * 8 + 57 + 57, "14 steps, the features, and the check of the first batch"
    monkeypatch.setattr("ltbench.engine.training.features_of", lambda *_: None)
    slow = training_of(job, context_of(tmp_path))
    slow.run()
    for one, other in ((fast.network, slow.network), (fast.predictor, slow.predictor)):
        for key, value in one.state_dict().items():
            torch.testing.assert_close(value, other.state_dict()[key], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("how", ["statistics", "learn"])
def test_a_stage_that_changes_batch_normalisation_passes_images(tmp_path: Path, how: str) -> None:
    job = fit_job(plain(0.5), plain(**SECOND, augment=None, batch_norm=how))
    training = training_of(job, context_of(tmp_path))
    images: list[int] = []
    training.network.features.register_forward_pre_hook(lambda _module, given: images.append(len(given[0])))
    training.run()
    assert sum(images) == 28 * 8


# --- accidents --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("recipe", [{"ema": 0.9}, {"optimizer": "adam", "lr": 0.01, "epochs": 2}], ids=str)
@pytest.mark.parametrize("name", CHANGES)
def test_a_training_resumed_anywhere_is_bit_identical(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, recipe: dict[str, object]
) -> None:
    """Resumed at the boundary of the stages or inside the second one, and at a random step."""
    job = fit_job(
        *(job_of(name, start=0.5, end=0.8, recipe=recipe).spec["segments"]), plain(1.1, restart=True), recipe=recipe
    )
    whole = trained(context_of(tmp_path / "whole"), job)
    draw = random.Random(f"{name} {recipe}")
    total = context_of(tmp_path / "whole").store.meta(job.key)["steps"]
    for at in {total // 2, draw.randrange(1, total)}:
        context = msgspec.structs.replace(context_of(tmp_path / str(at)), snapshot_seconds=0.0)
        fit_with_accident(job, context, monkeypatch, at)
        assert same(weights(context, job), whole), at


def test_the_network_of_a_model_needs_a_classifier_that_can_be_limited(tmp_path: Path) -> None:
    network = Net().build(1, 8, 2)
    network.head = nn.Flatten()
    with pytest.raises(JobFailed, match="no weights for each class"):
        norm_limit(network, 1.0)
    assert issubclass(Angles, Model)
