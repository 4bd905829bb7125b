"""Fine-tuning: what learns and what stays, initial weights from images, rates of parameters, resuming and predicting."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest
import torch
from engine.accidents import fit_with_accident
from engine.trainings import training_of
from engine.world import RECIPE, World, context_of, fit_job, plain, same, weights
from torch import nn

from ltbench import Branches, Finetune, Model, ParameterGroup
from ltbench.core.spec import PROTOCOL, Job, identity
from ltbench.engine.fit import fit, training_subset
from ltbench.engine.optimizer import make_optimizer, optimizer_state, set_learning_rate
from ltbench.engine.predict import predict
from ltbench.engine.tensor_files import read_tensors
from ltbench.errors import JobFailed
from ltbench.suite.recipe import Recipe
from ltbench_plugins.finetunes.adaptformer import AdaptFormer
from ltbench_plugins.finetunes.bitfit import BitFit
from ltbench_plugins.finetunes.full import Full
from ltbench_plugins.finetunes.linear_probe import LinearProbe
from ltbench_plugins.finetunes.lora import Lora
from ltbench_plugins.finetunes.norm_only import NormOnly


class TinyViT(Model, frozen=True):
    """A vision transformer of timm with two blocks for images of 8 pixels, with dropout."""

    name = "tiny_vit"

    def build(self, channels: int, size: int, classes: int) -> nn.Module:
        from timm.models.vision_transformer import VisionTransformer

        return VisionTransformer(
            img_size=size,
            patch_size=4,
            in_chans=channels,
            num_classes=classes,
            embed_dim=24,
            depth=2,
            num_heads=2,
            drop_rate=0.1,
        )


class Blocks(Model, frozen=True):
    """Two convolutions with batch normalisation, as blocks."""

    name = "blocks"

    def build(self, channels: int, size: int, classes: int) -> nn.Module:
        return _Blocks(channels, classes)


class _Blocks(nn.Module):
    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(channels, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
        self.head = nn.Linear(4, classes)

    def blocks(self) -> list[nn.Module]:
        return [self.first, self.second]

    def forward_head(self, maps: torch.Tensor) -> torch.Tensor:
        return self.head(maps.mean((2, 3)))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.forward_head(self.second(self.first(images)))

    def get_classifier(self) -> nn.Module:
        return self.head


class Two(Branches, frozen=True):
    """Two branches of the last block."""

    name = "two"

    def number(self) -> int:
        return 2

    def shared(self, blocks: int) -> int:
        return 1


MORE = (TinyViT, Blocks, Two, BitFit, NormOnly, LinearProbe, Lora, AdaptFormer, Full)


def job_of(
    finetune: Finetune | None, *segments: Any, model: Model | None = None, more: Any = None, **given: Any
) -> Job:
    """Return the job of a fine-tuning; weight decay would change a parameter that is not frozen."""
    recipe = {"weight_decay": 0.1} | given.pop("recipe", {})
    job = fit_job(*segments, model=model or TinyViT(), recipe=recipe, **given)
    spec = job.spec | ({} if finetune is None else {"finetune": World().spec(finetune)}) | (more or {})
    return msgspec.structs.replace(job, spec=spec, key=identity(spec))


def changed(job: Job, folder: Path, *more: Any) -> tuple[set[str], set[str]]:
    """Train; return the names of what changed, and of all, in the state of the network."""
    training = training_of(job, context_of(folder, *MORE, *more))
    before = {name: value.clone() for name, value in training.network.state_dict().items()}
    training.run()
    after = training.network.state_dict()
    return {name for name in before if not torch.equal(before[name], after[name])}, set(before)


def needs_peft(finetune: Finetune | None) -> None:
    if isinstance(finetune, Lora):
        pytest.importorskip("peft", reason="peft is not installed; it comes with the extra 'finetune'")


# --- what learns, and what stays ------------------------------------------------------------------------------------

LEARNING = {
    "linear_probe": (LinearProbe(), lambda name: False),
    "bitfit": (BitFit(), lambda name: name.endswith(".bias")),
    "norm_only": (NormOnly(), lambda name: "norm" in name),
    "lora": (Lora(rank=2), lambda name: ".lora_" in name),
    "adaptformer": (AdaptFormer(width=3), lambda name: ".bottleneck." in name),
    "full": (Full(), lambda name: True),
    "nothing": (None, lambda name: True),
}


@pytest.mark.parametrize("name", LEARNING)
def test_what_should_learn_changes_and_nothing_else(name: str, tmp_path: Path) -> None:
    finetune, learns = LEARNING[name]
    needs_peft(finetune)
    after, everything = changed(job_of(finetune), tmp_path)
    head = {"head.weight", "head.bias"}
    assert after == {key for key in everything if learns(key)} | head


@pytest.mark.parametrize("name", ["linear_probe", "bitfit", "norm_only", "lora"])
def test_batch_statistics_are_frozen_where_nothing_of_the_layer_learns(name: str, tmp_path: Path) -> None:
    finetune, _ = LEARNING[name]
    needs_peft(finetune)
    after, everything = changed(job_of(finetune, model=Blocks()), tmp_path)
    statistics = {key for key in everything if "running_" in key or "num_batches" in key}
    assert len(statistics) == 6
    assert statistics & after == (statistics if name in {"bitfit", "norm_only"} else set())
    weights = {"bitfit": {"first.1.bias"}, "norm_only": {"first.1.bias", "first.1.weight"}}.get(name, set())
    assert {key for key in after if key.startswith("first.1.") and key not in statistics} == weights


@pytest.mark.parametrize("name", ["bitfit", "adaptformer"])
def test_the_average_of_weights_keeps_what_is_frozen(name: str, tmp_path: Path) -> None:
    finetune, learns = LEARNING[name]
    training = training_of(job_of(finetune, recipe={"ema": 0.9}), context_of(tmp_path, *MORE))
    before = {key: value.clone() for key, value in training.network.state_dict().items()}
    training.run()
    average = training.predictor.state_dict()
    assert {key for key in before if torch.equal(before[key], average[key])} == {
        key for key in before if not learns(key) and not key.startswith("head.")
    }


def test_the_optimiser_remembers_nothing_of_frozen_parameters(tmp_path: Path) -> None:
    training = training_of(job_of(BitFit()), context_of(tmp_path, *MORE))
    training.run()
    tensors, _ = optimizer_state(training.optimizer)
    learning = [p for name, p in training.network.named_parameters() if name.endswith(".bias") or name == "head.weight"]
    assert sorted(value.numel() for value in tensors.values()) == sorted(p.numel() for p in learning)


def test_a_phase_that_trains_the_classifier_freezes_what_else_learns(tmp_path: Path) -> None:
    context = context_of(tmp_path, *MORE)
    first = job_of(BitFit(), plain(0.5))
    second = job_of(BitFit(), plain(0.5), plain(trainable="classifier"))
    for job in (first, second):
        fit(job, context)
    before, after = weights(context, first), weights(context, second)
    assert {name for name in before if not torch.equal(before[name], after[name])} == {"head.weight", "head.bias"}


def test_linear_probing_equals_a_phase_that_trains_the_classifier(tmp_path: Path) -> None:
    context = context_of(tmp_path, *MORE)
    jobs = [job_of(one, plain(trainable="classifier")) for one in (LinearProbe(), None)]
    for job in jobs:
        fit(job, context)
    assert jobs[0].key != jobs[1].key
    assert same(*(weights(context, job) for job in jobs))


def test_linear_probing_computes_the_features_of_fixed_images_once(tmp_path: Path) -> None:
    seen: list[int] = []
    job = job_of(LinearProbe(), plain(trainable="classifier", augment=None))
    training = training_of(job, context_of(tmp_path, *MORE))
    training.network.patch_embed.register_forward_hook(lambda _m, given, _out: seen.append(len(given[0])))
    training.run()
    assert sum(seen) == 57 + 57  # the features, and the check of the first batch
    assert training.steps == 28


def test_each_branch_is_tuned_and_the_trunk_stays(tmp_path: Path) -> None:
    job = job_of(BitFit(), model=Blocks(), more={"branches": World().spec(Two())})
    after, everything = changed(job, tmp_path)
    learning = {key for key in everything if key.endswith("bias") or "running_" in key or "num_batches" in key}
    assert after == learning | {key for key in everything if "head." in key}
    assert {key.split(".")[1] for key in after if key.startswith("branches.")} == {"0", "1"}
    assert any(key.startswith("trunk.") for key in after)


# --- what a network starts as ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["lora", "adaptformer"])
def test_what_is_added_starts_without_an_effect(name: str, tmp_path: Path) -> None:
    finetune, _ = LEARNING[name]
    needs_peft(finetune)
    context = context_of(tmp_path, *MORE)
    networks = [training_of(job_of(one), context).network.eval() for one in (finetune, None)]
    images = torch.randn(5, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    adapted, untouched = (network(images) for network in networks)
    torch.testing.assert_close(adapted, untouched, rtol=1e-5, atol=1e-6)
    assert sum(p.numel() for p in networks[0].parameters()) > sum(p.numel() for p in networks[1].parameters())


def test_the_classifier_starts_at_the_mean_features_of_each_class(tmp_path: Path) -> None:
    training = training_of(job_of(LinearProbe(classifier="class_mean")), context_of(tmp_path, *MORE))
    training._initialise()
    network, feed = training.network.eval(), training.feed
    with torch.no_grad():
        features = network.forward_head(network.forward_features(next(feed.unaugmented_images())), pre_logits=True)
    means = torch.stack([features[feed.labels == label].mean(0) for label in range(3)])
    torch.testing.assert_close(
        network.head.weight.detach(), means / means.norm(dim=1, keepdim=True), rtol=1e-4, atol=1e-6
    )
    assert not network.head.bias.any()
    assert network.head.weight.requires_grad


# --- initial weights from images ------------------------------------------------------------------------------------


class Centred(Blocks, frozen=True):
    """Subtracts the mean of the first training images, which it records, in its first layer, which is frozen."""

    name = "centred"
    calls: ClassVar[list[Any]] = []

    def initialise(self, network: nn.Module, images: Any) -> None:
        first, again = list(images), list(images)
        assert all(
            torch.equal(one, other) for a, b in zip(first, again, strict=True) for one, other in zip(a, b, strict=True)
        )
        assert not network.training
        assert not torch.is_grad_enabled()
        self.calls.append(torch.cat([labels for _, labels in first]))
        network.first[0].bias.fill_(-float(torch.cat([batch for batch, _ in first]).mean()))

    def groups(self, network: nn.Module) -> list[ParameterGroup]:
        return [ParameterGroup(parameters=list(network.first[0].parameters()), learns=False)]


@pytest.fixture
def calls() -> list[torch.Tensor]:
    Centred.calls.clear()
    return Centred.calls


def test_a_model_is_given_all_training_images_once_before_the_first_step(
    tmp_path: Path, calls: list[torch.Tensor]
) -> None:
    training = training_of(job_of(None, model=Centred()), context_of(tmp_path, *MORE, Centred))
    normalised = torch.cat(list(training.feed.unaugmented_images()))
    assert not calls
    training.run()
    (labels,) = calls
    assert labels.bincount().tolist() == [30, 17, 10]
    assert len(set(labels[:10].tolist())) > 1, "not sorted by class"
    assert training.network.first[0].bias[0].item() == pytest.approx(-float(normalised.mean()), rel=1e-5)


def test_a_training_with_initial_weights_from_images_resumes_with_the_same_bits(
    tmp_path: Path, calls: list[torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = job_of(None, model=Centred())
    assert_resumes(job, 5, tmp_path, monkeypatch, Centred)
    assert len(calls) == 2  # of the training that was interrupted and of the one that was not


# --- resuming and predicting ----------------------------------------------------------------------------------------


def assert_resumes(job: Job, at: int, folder: Path, monkeypatch: pytest.MonkeyPatch, *more: Any) -> None:
    """Assert that a training that is stopped after a step and goes on ends with the same bits."""
    interrupted = msgspec.structs.replace(context_of(folder / "parts", *MORE, *more), snapshot_seconds=0.0)
    fit_with_accident(job, interrupted, monkeypatch, at)
    whole = context_of(folder / "whole", *MORE, *more)
    fit(job, whole)
    assert same(weights(interrupted, job), weights(whole, job))


@pytest.mark.parametrize(
    ("name", "at", "optimizer"), [("norm_only", 3, "sgd"), ("adaptformer", 12, "adamw"), ("lora", 26, "sgd")]
)
def test_a_resumed_fine_tuning_ends_with_the_same_bits(
    name: str, at: int, optimizer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finetune, _ = LEARNING[name]
    needs_peft(finetune)
    finetune = msgspec.structs.replace(finetune, classifier="class_mean")
    recipe = {"optimizer": optimizer, "lr": 0.05 if optimizer == "sgd" else 0.003, "ema": 0.9}
    assert_resumes(job_of(finetune, plain(0.5), plain(restart=True), recipe=recipe), at, tmp_path, monkeypatch)


@pytest.mark.parametrize("name", ["bitfit", "lora", "adaptformer"])
def test_predictions_come_from_the_stored_weights(name: str, tmp_path: Path) -> None:
    finetune, _ = LEARNING[name]
    needs_peft(finetune)
    context, job = context_of(tmp_path, *MORE), job_of(finetune, recipe={"precision": "fp32"})
    fit(job, context)
    spec = {"kind": "predict", "protocol": PROTOCOL, "fit": job.key, "view": "identity", "split": "test"}
    predict(Job(key=identity(spec), kind="predict", spec=spec, parents=(job.key,)), context)
    tensors, _ = read_tensors(context.store.path(identity(spec)) / "logits.safetensors")
    subset, training = training_subset(job.spec, context), training_of(job, context)
    training.network.load_state_dict(weights(context, job))
    with torch.no_grad():
        expected = training.network.eval()(training.feed.normalised(subset.test_images.float() / 255))
    torch.testing.assert_close(tensors["logits"], expected, rtol=1e-4, atol=1e-5)


# --- rates ----------------------------------------------------------------------------------------------------------


class FastBias(Blocks, frozen=True):
    """Has biases of batch normalisation at 64 times the learning rate, without weight decay."""

    name = "fast_bias"

    def groups(self, network: nn.Module) -> list[ParameterGroup]:
        biases = [m.bias for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
        return [ParameterGroup(parameters=biases, lr=64.0, decay=0.0)]


def test_a_model_has_parameters_at_rates_of_their_own(tmp_path: Path) -> None:
    job = job_of(None, model=FastBias(), recipe={"momentum": 0.0, "nesterov": False, "epochs": None, "steps": 1})
    training = training_of(job, context_of(tmp_path, *MORE, FastBias))
    before = {name: value.clone() for name, value in training.network.named_parameters()}
    training.run()
    rate = RECIPE["lr"]
    for name, parameter in training.network.named_parameters():
        fast = name in {"first.1.bias", "second.1.bias"}
        factor, decay = (64, 0.0) if fast else (1, 0.1)
        expected = before[name] - factor * rate * (parameter.grad + decay * before[name])
        torch.testing.assert_close(parameter.detach(), expected, rtol=1e-5, atol=1e-6)
    assert training.curve.entries()["lr"] == [pytest.approx(rate)], "the rate of the recipe"


@pytest.mark.parametrize("wrong", ["twice", "foreign", "other"])
def test_groups_are_of_parameters_of_the_network_each_once(wrong: str, tmp_path: Path) -> None:
    class Wrong(Blocks, frozen=True):
        name = "wrong"

        def groups(self, network: nn.Module) -> Any:
            own = [network.head.bias]
            return {
                "twice": [ParameterGroup(parameters=own), ParameterGroup(parameters=own)],
                "foreign": [ParameterGroup(parameters=[nn.Parameter(torch.zeros(1))])],
                "other": own,
            }[wrong]

    with pytest.raises(JobFailed, match="model 'wrong' returned"):
        training_of(job_of(None, model=Wrong()), context_of(tmp_path, Wrong))


@pytest.mark.parametrize("kind", ["sgd", "adam", "adamw", "rmsprop"])
def test_one_group_computes_as_the_optimiser_of_torch(kind: str) -> None:
    recipe = Recipe(optimizer=kind, steps=1, batch_size=8, lr=0.01, weight_decay=0.03).resolved()
    torch_kind = {
        "sgd": torch.optim.SGD,
        "adam": torch.optim.Adam,
        "adamw": torch.optim.AdamW,
        "rmsprop": torch.optim.RMSprop,
    }
    moving: dict[str, Any] = {"momentum": recipe.momentum} if kind in {"sgd", "rmsprop"} else {}
    moving |= {"nesterov": recipe.nesterov} if kind == "sgd" else {}
    ends = []
    for own in (True, False):
        layer = nn.Linear(3, 2)
        nn.init.constant_(layer.weight, 0.3)
        nn.init.constant_(layer.bias, -0.1)
        parameters = list(layer.parameters())
        plain_one = torch_kind[kind](parameters, recipe.lr, weight_decay=recipe.weight_decay, **moving)
        optimizer = make_optimizer(recipe, parameters) if own else plain_one
        for step in range(4):
            rate = 0.01 / (step + 1)
            if own:
                set_learning_rate(optimizer, rate)
            else:
                optimizer.param_groups[0]["lr"] = rate
            optimizer.zero_grad()
            layer(torch.arange(6.0).view(2, 3) - step).square().sum().backward()
            optimizer.step()
        ends.append(layer.state_dict())
    assert same(*ends)


# --- errors ---------------------------------------------------------------------------------------------------------


def test_a_network_with_nothing_to_adapt_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JobFailed, match="'adaptformer' finds nothing to adapt: _Blocks"):
        training_of(job_of(AdaptFormer(), model=Blocks()), context_of(tmp_path, *MORE))

    class NoNorm(Blocks, frozen=True):
        name = "no_norm"

        def build(self, channels: int, size: int, classes: int) -> nn.Module:
            network = _Blocks(channels, classes)
            network.first[1] = network.second[1] = nn.Identity()
            return network

    with pytest.raises(JobFailed, match="'norm_only' finds nothing to adapt"):
        training_of(job_of(NormOnly(), model=NoNorm()), context_of(tmp_path, *MORE, NoNorm))


def test_an_adapter_that_is_never_called_is_refused(tmp_path: Path) -> None:
    class Aside(BitFit, frozen=True):
        name = "aside"

        def adapt(self, network: nn.Module) -> nn.Module:
            network.aside = nn.Linear(2, 2)
            return network

        def learns(self, name: str, parameter: torch.Tensor, module: nn.Module) -> bool:
            return name.startswith("aside.")

    with pytest.raises(JobFailed, match="'aside' has no effect"):
        training_of(job_of(Aside(), model=Blocks()), context_of(tmp_path, *MORE, Aside))


def test_a_classifier_without_weights_for_each_class_cannot_start_at_means(tmp_path: Path) -> None:
    from ltbench_plugins.heads.etf import Etf

    job = job_of(BitFit(classifier="class_mean"), more={"head": World().spec(Etf())})
    with pytest.raises(JobFailed, match="needs a classifier with weights"):
        fit(job, context_of(tmp_path, *MORE, Etf))
