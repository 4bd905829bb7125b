from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from engine.world import CLASSES, TEST, Net, Patterns, context_of, fit_job, weights
from safetensors.torch import load as load_tensors
from safetensors.torch import load_file
from torch import nn

from ltbench import View
from ltbench.core.spec import PROTOCOL, Job, Spec, identity
from ltbench.engine import predict as module
from ltbench.engine import stored_logits
from ltbench.engine.fit import fit
from ltbench.engine.predict import predict
from ltbench.engine.subset import load
from ltbench.errors import JobFailed
from ltbench.executor import Context
from ltbench.jobs.prediction_file import read_prediction
from ltbench_plugins.views.tta import Tta

FIT = fit_job(recipe={"epochs": 12, "lr": 0.1})


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Context:
    context = context_of(tmp_path_factory.mktemp("trained"), Odd)
    fit(FIT, context)
    return context


def copied(trained: Context, root: Path) -> Context:
    """Return a context with a new store that holds the fit."""
    shutil.copytree(trained.store.root, root / "store")
    return context_of(root, Odd)


@pytest.fixture
def context(trained: Context, tmp_path: Path) -> Context:
    return copied(trained, tmp_path / "own")


def predict_job(view: str | Spec = "identity", fit: Job = FIT, **changes: object) -> Job:
    spec: Spec = {"kind": "predict", "protocol": PROTOCOL, "fit": fit.key, "split": "test", "view": view, **changes}
    return Job(key=identity(spec), kind="predict", spec=spec, parents=(fit.key,))


def view_of(technique: View, name: str) -> Spec:
    spec = {"name": technique.name, "distribution": "test", "revision": 1, "params": technique.params}
    return {"technique": spec, "name": name}


def logits(context: Context, job: Job) -> torch.Tensor:
    predict(job, context)
    return load_file(context.store.path(job.key) / "logits.safetensors")["logits"]


def by_hand(context: Context, change: Callable[[torch.Tensor], torch.Tensor] = lambda x: x) -> torch.Tensor:
    """Return the logits of the test images, computed directly: mean 0.4, deviation 0.2, no dropout."""
    network = Net().build(1, 8, CLASSES).eval()
    network.load_state_dict(weights(context, FIT))
    images = torch.from_numpy(Patterns().load(Path()).test_images) / 255
    with torch.no_grad():
        return network(change((images - 0.4) / 0.2))


def test_logits_of_the_test_images_with_their_labels(context: Context) -> None:
    job = predict_job()
    predicted = logits(context, job)
    torch.testing.assert_close(predicted, by_hand(context), rtol=1e-4, atol=1e-5)
    assert predicted.dtype == torch.float32
    stored = load_file(context.store.path(job.key) / "logits.safetensors")
    assert stored["labels"].tolist() == [c for c in range(CLASSES) for _ in range(TEST)]
    assert float((predicted.argmax(1) == stored["labels"]).float().mean()) > 0.8


def test_logits_of_very_many_classes_take_half_the_space_and_are_read_like_others(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = predict_job()
    whole = logits(context, job).double().numpy()
    shutil.rmtree(context.store.path(job.key))
    monkeypatch.setattr(stored_logits, "WHOLE", CLASSES - 1)
    predict(job, context)
    content = (context.store.path(job.key) / "logits.safetensors").read_bytes()
    stored = load_tensors(content)
    assert (stored["logits.below"].dtype, stored["logits.top"].dtype) == (torch.float16, torch.float32)
    assert "logits" not in stored
    read = read_prediction(content, job.key, CLASSES, branched=False)
    assert (read.logits[0].max(1) == whole.max(1)).all()
    assert (read.logits[0].argmax(1) == whole.argmax(1)).all()
    assert abs(read.logits[0] - whole).max() < 0.02
    assert read.labels.tolist() == stored["labels"].tolist()
    assert read.classifiers[0] is not None


def test_norm_and_bias_of_the_classifier_are_kept_with_the_logits(context: Context) -> None:
    job = predict_job()
    predict(job, context)
    stored = load_file(context.store.path(job.key) / "logits.safetensors")
    learnt = weights(context, FIT)
    torch.testing.assert_close(stored["classifier.norms"], (learnt["head.weight"] ** 2).sum(1).sqrt())
    assert torch.equal(stored["classifier.bias"], learnt["head.bias"])


class Tempered(nn.Module):
    """A network that divides the output of its classifier by a temperature."""

    def __init__(self, head: nn.Module, temperature: float) -> None:
        super().__init__()
        self.head, self.temperature = head, temperature

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(images.flatten(1)) / self.temperature

    def get_classifier(self) -> nn.Module:
        return self.head


class Scaled(nn.Linear):
    """A linear layer that scales its logits."""

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(rows)


class Renamed(nn.Linear):
    """A linear layer as libraries have their own."""

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return rows @ self.weight.T + self.bias


@pytest.mark.parametrize(
    ("network", "linear"),
    [
        (Tempered(nn.Linear(4, 3), 1.0), True),
        (Tempered(Renamed(4, 3), 1.0), True),
        (Tempered(Scaled(4, 3), 1.0), False),
        (Tempered(nn.Linear(4, 3, bias=False), 1.0), True),
        (Tempered(nn.Linear(4, 3), 2.0), False),
        (Tempered(nn.Sequential(nn.Linear(4, 3)), 1.0), False),
    ],
)
def test_only_the_logits_of_a_linear_layer_are_said_to_be(network: Tempered, linear: bool) -> None:
    images = torch.rand(2, 1, 2, 2)
    with torch.no_grad():
        tensors = module.linear_classifier([network.get_classifier()], lambda: network(images)[None])
    assert set(tensors) == ({"classifier.norms", "classifier.bias"} if linear else set())
    if linear and network.head.bias is None:
        assert tensors["classifier.bias"].tolist() == [0, 0, 0]


# --- other splits, features -------------------------------------------------------------------------------------------


def arrays(context: Context, job: Job) -> dict[str, torch.Tensor]:
    predict(job, context)
    return load_file(context.store.path(job.key) / "logits.safetensors")


def test_training_images_are_predicted_in_their_order_and_without_augmentation(context: Context) -> None:
    stored = arrays(context, predict_job(split="train"))
    subset = load(FIT.spec["data"], context.registry, context.data_root)
    assert stored["labels"].equal(subset.labels)
    network = Net().build(1, 8, CLASSES).eval()
    network.load_state_dict(weights(context, FIT))
    with torch.no_grad():
        expected = network((subset.images / 255 - 0.4) / 0.2)
    torch.testing.assert_close(stored["logits"], expected, rtol=1e-4, atol=1e-5)


def test_features_are_what_the_classifier_is_given(context: Context) -> None:
    plain, stored = arrays(context, predict_job()), arrays(context, predict_job(features=True))
    assert set(stored) - set(plain) == {"features", "classifier.weights"}
    assert all(stored[name].equal(plain[name]) for name in plain)
    (features,) = stored["features"]
    learnt = weights(context, FIT)
    assert stored["classifier.weights"].equal(learnt["head.weight"])
    logits = features @ learnt["head.weight"].T + learnt["head.bias"]
    torch.testing.assert_close(logits, stored["logits"], rtol=1e-4, atol=1e-5)


def test_the_training_images_of_a_bag_are_its_own(context: Context) -> None:
    bag = fit_job(bag=0, recipe={"epochs": 1})
    fit(bag, context)
    stored = arrays(context, predict_job(fit=bag, split="train"))
    counts = torch.bincount(stored["labels"], minlength=CLASSES).tolist()
    assert counts == context.store.meta(bag.key)["data"]["counts"]
    assert sum(counts) < len(arrays(context, predict_job(split="train"))["labels"])


def test_held_out_images_are_predicted_and_were_not_trained_on(context: Context) -> None:
    apart = fit_job(recipe={"epochs": 1}, held_out=0.2)
    fit(apart, context)
    # Of 30, 17 and 10 images.
    assert context.store.meta(apart.key)["data"]["counts"] == [24, 14, 8]
    stored = arrays(context, predict_job(fit=apart, split="held_out"))
    assert torch.bincount(stored["labels"]).tolist() == [6, 3, 2]
    assert len(arrays(context, predict_job(fit=apart, split="train"))["labels"]) == 46


class WithoutRows(nn.Module):
    """A network whose classifier is given maps, as a convolution is."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Conv2d(1, 3, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(images).mean((2, 3))

    def get_classifier(self) -> nn.Module:
        return self.head


def test_a_network_without_features_says_so(context: Context) -> None:
    with pytest.raises(JobFailed, match="the network has no features"):
        module.outputs_of(WithoutRows(), torch.rand(2, 1, 4, 4), features=True)
    assert module.outputs_of(WithoutRows(), torch.rand(2, 1, 4, 4), features=False)[0].shape == (1, 2, 3)


def test_a_prediction_stores_its_metadata(context: Context) -> None:
    job = predict_job(view_of(Tta(), "mirror"))
    predict(job, context)
    meta = context.store.meta(job.key)
    assert meta["spec"] == job.spec
    assert meta["cost"]["predict_seconds"] > 0
    trained_by = context.store.meta(job.spec["fit"])["plugins"]
    assert [p["name"] for p in meta["plugins"]] == [*(p["name"] for p in trained_by), "tta"]


def test_the_network_gets_the_images_of_the_view(context: Context) -> None:
    predicted = logits(context, predict_job(view_of(Tta(), "mirror")))
    torch.testing.assert_close(predicted, by_hand(context, lambda x: x.flip(-1)), rtol=1e-4, atol=1e-5)
    assert not torch.equal(predicted, logits(context, predict_job()))


def test_batches_do_not_matter(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = by_hand(context)
    monkeypatch.setattr(module, "batch_size", lambda _shape: 5)
    torch.testing.assert_close(logits(context, predict_job()), whole, rtol=1e-4, atol=1e-5)


def test_the_same_bits_again_and_nothing_global_moves(context: Context, trained: Context, tmp_path: Path) -> None:
    from plugins.checks import global_randomness_untouched

    with global_randomness_untouched():
        in_batches = logits(context, predict_job())
    assert torch.equal(in_batches, logits(copied(trained, tmp_path / "other"), predict_job()))


def test_a_prediction_that_is_there_is_not_made_again(context: Context) -> None:
    job = predict_job()
    with context.store.writing(job.key) as folder:
        (folder / "meta.json").write_text("{}")
    predict(job, context)
    assert context.store.meta(job.key) == {}


class Odd(View, frozen=True):
    """A technique with invalid views."""

    name = "odd"

    def views(self) -> Mapping[str, Callable[[torch.Tensor], torch.Tensor]]:
        return {
            "cut": lambda images: images[..., 1:],
            "raising": lambda images: images.no_such_method(),
            "infinite": lambda images: images / 0,
        }


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cut", r"view 'odd' returned images float32 \[18, 1, 8, 7\]; expected float32 \[18, 1, 8, 8\]"),
        ("missing", "view 'odd' returned views cut, raising, infinite; expected a view named missing"),
        ("infinite", "logits are not finite"),
        ("raising", "view 'odd' raised AttributeError"),
    ],
)
def test_an_invalid_view_raises(context: Context, name: str, message: str) -> None:
    job = predict_job(view_of(Odd(), name))
    with pytest.raises(JobFailed, match=message):
        predict(job, context)
    assert not context.store.has(job.key)
