"""Everything that a technique can be asked, asked once: a function per stage, of the technique and a world.

Each returns all that came back, by name. What every technique must hold is examined on these results alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ltbench.core.checksums import digest
from ltbench.core.folders import data_root
from ltbench.errors import DataError, UsageError
from ltbench.stages import (
    Augment,
    Dataset,
    DatasetInfo,
    Ensemble,
    LinearClassifier,
    Loss,
    Metric,
    Mix,
    Model,
    Posthoc,
    Profile,
    Regime,
    Sampler,
    View,
    Weight,
)
from ltbench.technique import Technique
from ltbench.testing.finding import Skip
from ltbench.testing.inputs import BATCH, World

Result = dict[str, Any]
BATCH_SIZE = 64
"""The batch size of the recipe."""
BAGS = 3
"""Bags of an ensemble that are looked at."""


def dataset(technique: Dataset, _world: World) -> Result:
    import numpy as np

    info, images = load(technique, data_root())
    parts = {field: np.ascontiguousarray(getattr(images, field)) for field in images.__struct_fields__}
    # Digests, as results are kept and travel between processes, and images can be many.
    return {"info": info, **{field: digest(part.tobytes()) for field, part in parts.items()}}


def load(technique: Dataset, root: Path) -> tuple[DatasetInfo, Any]:
    """Return what a data set says of itself and its images; raise `Skip` where its files are not there."""
    try:
        technique.locate(root)
    except DataError as error:
        raise Skip(f"its files are not there: {error.what}") from None
    return technique.info(root), technique.load(root)


def profile(technique: Profile, world: World) -> Result:
    counts: Result = {}
    for factor in (1.0, 10.0, 100.0):
        available = world.kept("available", [600] * world.classes)
        try:
            counts[f"counts at factor {factor:g}"] = technique.counts(available, factor)
        except UsageError as error:
            counts[f"counts at factor {factor:g}"] = error.what
    return counts


def sampler(technique: Sampler, world: World) -> Result:
    labels = world.tensor("labels", world.labels, on_cpu=True)
    counts = world.tensor("counts", world.class_counts, on_cpu=True)
    pool = world.kept("pool", technique.pool(labels, counts, world.generator(0, on_cpu=True)))
    drawing = world.generator(1, on_cpu=True)
    epochs = [technique.epoch(pool, labels, counts, BATCH_SIZE, drawing).clone() for _ in range(2)]
    size = technique.batch_size(BATCH_SIZE, world.classes)
    return {"pool": pool, "batch_size": size, "epochs": epochs, "share": technique.share(counts)}


def augment(technique: Augment, world: World) -> Result:
    found: Result = {}
    for channels in (3, 1):
        stored = world.tensor("stored images", world.images(12, channels, 16))
        images = world.tensor("images", world.images(12, channels, 16) / 255).float()
        world.kept("images", images)
        found[f"apply to {channels} channels"] = technique.apply(images, world.generator(3)).clone()
        indices = world.tensor("indices", [5, 1, 1, 11])
        prepared = technique.prepare(stored)
        found[f"batch of {channels} channels"] = technique.batch(prepared, indices, world.generator(3))
    return found


def mix(technique: Mix, world: World) -> Result:
    images = world.tensor("images", world.rng(2).standard_normal((BATCH, 3, 8, 8)).astype("float32"))
    labels = world.tensor("labels", world.batch_labels)
    counts = world.tensor("counts", world.class_counts)
    return {"mixed": technique.mix(images, labels, counts, world.generator(3))}


def model(technique: Model, world: World) -> Result:
    import torch

    network = build(technique, 3, 32, world.classes).eval()
    images = world.tensor("images", world.rng(2).standard_normal((2, 3, 32, 32)).astype("float32"))
    with torch.no_grad():
        logits = network(images)
    sizes = sum(p.numel() for p in network.parameters())
    return {"logits": logits, "parameters": sizes, "mean_std": technique.mean_std(3)}


def build(technique: Model, channels: int, size: int, classes: int) -> Any:
    """Return the network, as a job builds it."""
    import torch

    from ltbench.engine.network import build as build_network

    return build_network(technique, info_of(channels, size, classes), 0, torch.device("cpu"))


def info_of(channels: int, size: int, classes: int) -> DatasetInfo:
    """Return the description of a data set that a network could be for."""
    return DatasetInfo(
        classes=tuple(str(label) for label in range(classes)),
        train_counts=(1,) * classes,
        test_counts=(1,) * classes,
        channels=channels,
        size=size,
        mean=(0.5,) * channels,
        std=(0.25,) * channels,
        fingerprint="none",
    )


def loss(technique: Loss, world: World) -> Result:
    leaf = world.tensor("weights", world.logits().astype("float32")).requires_grad_()
    logits = world.kept("logits", leaf * 1)
    labels = world.tensor("labels", world.batch_labels)
    counts = world.tensor("counts", world.class_counts)
    losses = technique.per_sample(logits, labels, counts)
    if losses.requires_grad:
        losses.sum().backward()  # type: ignore[no-untyped-call]
    return {"losses": losses, "gradient": leaf.grad}


def weight(technique: Weight, world: World) -> Result:
    counts = world.tensor("counts", world.class_counts)
    weights = world.kept("weights", technique.weights(counts))
    labels = world.tensor("labels", world.batch_labels)
    losses = world.tensor("losses", world.rng(4).random(BATCH).astype("float32"))
    return {"weights": weights, "reduced": technique.reduce(losses, weights[labels])}


def regime(technique: Regime, _world: World) -> Result:
    return {"phases": list(technique.phases())}


def view(technique: View, world: World) -> Result:
    images = world.tensor("images", world.rng(2).standard_normal((4, 3, 8, 8)).astype("float32"))
    views = {name: of(images) for name, of in technique.views().items()}
    logits = world.array("logits", [world.logits(seed=seed) for seed in range(len(views))])
    return {"views": views, "probabilities": technique.merge(logits)}


def posthoc(technique: Posthoc, world: World) -> Result:
    logits, counts = world.array("logits", world.logits()), world.array("counts", world.class_counts)
    norms = world.array("norms", 0.5 + world.rng(5).random(world.classes))
    bias = world.array("bias", world.rng(6).standard_normal(world.classes))
    return {"logits": technique.adjust_linear(logits, counts, LinearClassifier(norms, bias))}


def ensemble(technique: Ensemble, world: World) -> Result:
    counts = world.kept("counts", world.class_counts.tolist())
    members = list(technique.members(counts))
    labels = world.array("labels", world.labels)
    numbers = [member.bag for member in members if member.bag is not None][:BAGS]
    bags = [technique.bag(number, labels, world.rng(8)) for number in numbers]
    probabilities = world.array("probabilities", [world.probabilities(seed=seed) for seed in range(len(members))])
    return {"members": members, "bags": bags, "probabilities": technique.merge(probabilities)}


def metric(technique: Metric, world: World) -> Result:
    probabilities = world.array("probabilities", world.probabilities(4 * BATCH))
    labels = world.array("labels", world.rng(9).integers(world.classes, size=4 * BATCH))
    return dict(technique.compute(probabilities, labels, world.array("counts", world.class_counts)))


EXERCISES: Mapping[str, Callable[[Any, World], Result]] = {
    "dataset": dataset, "profile": profile, "sampler": sampler, "augment": augment, "mix": mix, "model": model,
    "loss": loss, "weight": weight, "regime": regime, "view": view, "posthoc": posthoc, "ensemble": ensemble,
    "metric": metric,
}  # fmt: skip


def exercise(technique: Technique, world: World) -> Result:
    """Return all that a technique answers."""
    return EXERCISES[technique.stage](technique, world)
