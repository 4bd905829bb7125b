"""Features of a frozen backbone: what is stored, that it is shared and copied, and predictions from it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from engine.frozen_world import Frozen, Renamed, frozen_context, frozen_fit, still
from engine.world import World, fit_job, plain
from safetensors.torch import load_file

from ltbench.core.spec import Job, features_specs, identity, predict_spec
from ltbench.engine import features
from ltbench.engine.features import compute_features
from ltbench.engine.fit import fit
from ltbench.engine.predict import predict
from ltbench.engine.trained_network import trained_network
from ltbench.errors import JobFailed, StoreError
from ltbench.executor import Context
from ltbench.planning.feature_jobs import feature_jobs
from ltbench_plugins.finetunes.linear_probe import LinearProbe
from ltbench_plugins.views.tta import Tta

CPU = torch.device("cpu")


def compute(context: Context, *jobs: Job) -> None:
    for job in jobs:
        compute_features(job, context)


def predicted(context: Context, job: Job, split: str, view: str = "identity", *, rows: bool = False):
    spec = predict_spec(job.key, World().spec(Tta()), view, split, features=rows)
    read = feature_jobs(job.spec, spec)
    compute(context, *read)
    made = Job(key=identity(spec), kind="predict", spec=spec, parents=(job.key, *(one.key for one in read)))
    predict(made, context)
    return load_file(context.store.path(made.key) / "logits.safetensors")


def table(context: Context, split: str = "train", **changes: object) -> np.ndarray:
    """Return the stored features of a split, in the order of its images."""
    specs = [spec | changes for spec in features_specs(frozen_fit().spec, split)]
    parts = [np.load(context.store.path(identity(spec)) / "features.npy") for spec in specs]
    rows = np.empty((sum(map(len, parts)), 96), np.float32)
    for number, part in enumerate(parts):
        rows[number :: len(parts)] = part
    return rows


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return frozen_context(tmp_path)


def test_features_are_what_the_classifier_is_given(context: Context) -> None:
    compute(context, *feature_jobs(frozen_fit().spec))
    network = Frozen().build(1, 8, 3).eval()
    dataset = World().by_name["patterns"]()
    images = torch.from_numpy(dataset.load(Path()).train_images).float() / 255
    maps = network.norm(network.conv((images - 0.4) / 0.2)).relu().flatten(1)
    assert table(context).shape == (90, 96)
    np.testing.assert_allclose(table(context), maps.detach().numpy(), atol=1e-5)


def test_a_row_does_not_depend_on_the_other_images() -> None:
    images = World().by_name["patterns"]().load(Path()).train_images
    network = Frozen().build(1, 8, 3).eval()

    def rows(numbers: list[int]) -> dict[int, np.ndarray]:
        batches = (torch.from_numpy(batch).float() for batch in features._filled_batches(images, numbers))
        return dict(zip(numbers, features._rows(network, batches, "fp32", CPU, Frozen()), strict=False))

    whole = rows(list(range(90)))
    for numbers in (list(range(89, -1, -1)), [3], list(range(5, 70))):
        assert all(np.array_equal(row, whole[number]) for number, row in rows(numbers).items())


def test_rows_of_known_images_are_copied_and_only_new_ones_computed(tmp_path: Path) -> None:
    context = frozen_context(tmp_path, Renamed)
    compute(context, *feature_jobs(frozen_fit().spec))
    changes = {"data": {"dataset": World().spec(Renamed()), "fingerprint": "renamed1"}}
    specs = [spec | changes for spec in features_specs(frozen_fit().spec, "train")]
    compute(context, *(Job(key=identity(spec), kind="features", spec=spec) for spec in specs))
    costs = [context.store.meta(identity(spec))["cost"] for spec in specs]
    assert sum(cost["images"] for cost in costs) == 1
    assert sum(cost["copied"] for cost in costs) == 89
    before, after = table(context), table(context, **changes)
    assert [number for number in range(90) if not np.array_equal(before[number], after[number])] == [7]


def test_a_damaged_or_removed_artefact_is_not_copied_from(context: Context) -> None:
    jobs = feature_jobs(frozen_fit().spec)
    compute(context, *jobs)
    expected = table(context)
    for number, job in enumerate(jobs):
        path = context.store.path(job.key) / "features.npy"
        if number % 2:
            path.write_bytes(path.read_bytes()[:-8])
        else:
            context.store.discard(job.key)
    fresh = frozen_context(context.store.root.parent)
    for job in jobs:
        with_damage = fresh.store.has(job.key)
        if with_damage:
            with pytest.raises(StoreError, match="quarantined"):
                fresh.store.checked(job.key)
        compute_features(job, fresh)
    assert np.array_equal(table(fresh), expected)


def test_rows_of_another_version_of_the_model_are_not_copied(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = feature_jobs(frozen_fit().spec)
    compute(context, *jobs)
    context.store.discard(jobs[0].key)
    made = type(context.registry).provenance
    monkeypatch.setattr(type(context.registry), "provenance", lambda self, one: made(self, one) | {"version": "2"})
    compute(context, jobs[0])
    assert context.store.meta(jobs[0].key)["cost"]["copied"] == 0


def test_a_backbone_that_draws_has_no_features(context: Context) -> None:
    job = frozen_fit(model=Frozen(noisy=True))
    with pytest.raises(JobFailed, match="change from call to call"):
        compute(context, *feature_jobs(job.spec))


def test_a_fit_without_its_features_fails(context: Context) -> None:
    with pytest.raises(StoreError, match="not in the store"):
        fit(frozen_fit(), context)


@pytest.mark.parametrize("split", ["test", "held_out", "train"])
def test_predictions_agree_with_those_of_the_whole_network(context: Context, split: str) -> None:
    job = frozen_fit(held_out=0.2)
    compute(context, *feature_jobs(job.spec))
    fit(job, context)
    found = predicted(context, job, split)
    # The same weights in the whole network, which gets images.
    network = trained_network(job.key, context, World().by_name["patterns"]().info(Path()), CPU)
    whole = fit_job(still(), model=Frozen(), held_out=0.2)
    from ltbench.engine.fit import training_subset

    subset = training_subset(whole.spec, context)
    images, labels = (subset.images, subset.labels) if split == "train" else subset.split(split)
    with torch.no_grad():
        logits = network((images.float() / 255 - 0.4) / 0.2)
    assert torch.equal(found["labels"], labels)
    torch.testing.assert_close(found["logits"], logits, atol=1e-4, rtol=1e-4)


def test_a_view_has_features_of_its_own(context: Context) -> None:
    job = frozen_fit()
    compute(context, *feature_jobs(job.spec))
    fit(job, context)
    identity_view, flipped = predicted(context, job, "test"), predicted(context, job, "test", "mirror", rows=True)
    assert not torch.equal(identity_view["logits"], flipped["logits"])
    view = {"technique": World().spec(Tta()), "name": "mirror"}
    assert np.array_equal(flipped["features"][0].numpy(), table(context, "test", view=view))


def test_predictions_with_features_have_those_of_the_classifier(context: Context) -> None:
    job = frozen_fit()
    compute(context, *feature_jobs(job.spec))
    fit(job, context)
    found = predicted(context, job, "test", rows=True)
    again = found["features"][0] @ found["classifier.weights"].T + found["classifier.bias"]
    torch.testing.assert_close(again, found["logits"], atol=1e-5, rtol=1e-5)


def test_a_bag_has_the_features_of_its_images(context: Context) -> None:
    job = frozen_fit(bag=1)
    compute(context, *feature_jobs(job.spec))
    fit(job, context)
    whole = predicted(context, frozen := job, "train", rows=True)
    from ltbench.engine.fit import training_subset

    assert torch.equal(whole["features"][0], training_subset(frozen.spec, context).images)
    assert len(whole["labels"]) == len(training_subset(frozen.spec, context).labels)


def test_class_means_come_from_features(context: Context) -> None:
    job = frozen_fit(finetune=LinearProbe(classifier="class_mean"), recipe={"lr": 1e-9})
    compute(context, *feature_jobs(job.spec))
    fit(job, context)
    subset = features.feature_subset(job.spec, context)
    means = torch.stack([subset.images[subset.labels == label].mean(0) for label in range(3)])
    expected = means / means.norm(dim=1, keepdim=True)
    found = load_file(context.store.path(job.key) / "weights.safetensors")["classifier.weight"]
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_the_record_states_the_cost_of_the_whole_network(context: Context) -> None:
    job = frozen_fit()
    compute(context, *feature_jobs(job.spec))
    fit(job, context)
    cost = context.store.meta(job.key)["cost"]
    # Convolution 6 x 9 at 4 x 4 places, classifier 96 x 3.
    assert cost["macs"] == 6 * 9 * 16 + 96 * 3
    assert cost["parameters"] == 6 * 9 + 6 + 12 + 96 * 3 + 3


def test_fixed_images_of_a_backbone_that_learns_use_no_stored_features() -> None:
    assert feature_jobs(fit_job(plain()).spec) == []
    assert msgspec.json.encode(features_specs(frozen_fit().spec, "test")[3])
