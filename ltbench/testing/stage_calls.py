"""Calls every method of a technique: a function per stage, which returns all results by name.

The checks common to all stages compare these results and need to know nothing else about a stage.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ltbench.core.checksums import digest
from ltbench.core.folders import data_root
from ltbench.errors import DataError, UsageError
from ltbench.stages import (
    Augment,
    Auxiliary,
    Dataset,
    DatasetInfo,
    Ensemble,
    Evidence,
    LinearClassifier,
    Loss,
    Metric,
    Mix,
    Model,
    Posthoc,
    Predicted,
    Profile,
    Regime,
    Sampler,
    View,
    Weight,
)
from ltbench.technique import Technique
from ltbench.testing.auxiliary_trial import AuxiliaryTrial
from ltbench.testing.finding import Skip
from ltbench.testing.inputs import BATCH, Inputs

Result = dict[str, Any]
BATCH_SIZE = 64
"""Batch size of the recipe."""
FEATURES = 6
"""Width of made-up features."""
BAGS = 3
"""Number of bags of an ensemble to check."""


def dataset(technique: Dataset, _inputs: Inputs) -> Result:
    import numpy as np

    info, images = load(technique, data_root())
    given = {field: getattr(images, field) for field in images.__struct_fields__}
    parts = {field: np.ascontiguousarray(part) for field, part in given.items() if part is not None}
    # Digests: results are cached and sent between processes, and a data set may have many images.
    return {"info": info, **{field: digest(part.tobytes()) for field, part in parts.items()}}


def load(technique: Dataset, root: Path) -> tuple[DatasetInfo, Any]:
    """Return the description and the images of a data set; raise `Skip` if its files are missing."""
    try:
        technique.locate(root)
    except DataError as error:
        raise Skip(f"its files are missing: {error.what}") from None
    return technique.info(root), technique.load(root)


def profile(technique: Profile, inputs: Inputs) -> Result:
    counts: Result = {}
    for factor in (1.0, 10.0, 100.0):
        available = inputs.track("available", [600] * inputs.classes)
        try:
            counts[f"counts at factor {factor:g}"] = technique.counts(available, factor)
        except UsageError as error:
            counts[f"counts at factor {factor:g}"] = error.what
    return counts


def pool_of(technique: Sampler, inputs: Inputs) -> tuple[Any, Any, Any]:
    """Return labels, class counts and the pool that a sampler draws from them."""
    labels = inputs.tensor("labels", inputs.labels, on_cpu=True)
    counts = inputs.tensor("counts", inputs.class_counts, on_cpu=True)
    return labels, counts, technique.pool(labels, counts, inputs.generator(0, on_cpu=True))


def sampler(technique: Sampler, inputs: Inputs) -> Result:
    labels, counts, pool = pool_of(technique, inputs)
    inputs.track("pool", pool)
    drawing = inputs.generator(1, on_cpu=True)
    epochs = [technique.epoch(pool, labels, counts, BATCH_SIZE, drawing).clone() for _ in range(2)]
    size = technique.batch_size(BATCH_SIZE, inputs.classes)
    return {"pool": pool, "batch_size": size, "epochs": epochs, "share": technique.share(counts)}


def augment(technique: Augment, inputs: Inputs) -> Result:
    results: Result = {}
    for channels in (3, 1):
        stored = inputs.tensor("stored images", inputs.images(12, channels, 2 * inputs.pixels))
        images = inputs.tensor("images", inputs.images(12, channels, 2 * inputs.pixels) / 255).float()
        inputs.track("images", images)
        results[f"apply to {channels} channels"] = technique.apply(images, inputs.generator(3)).clone()
        indices = inputs.tensor("indices", [5, 1, 1, 11])
        prepared = technique.prepare(stored)
        results[f"batch of {channels} channels"] = technique.batch(prepared, indices, inputs.generator(3))
    return results


def mix(technique: Mix, inputs: Inputs) -> Result:
    images = inputs.tensor(
        "images", inputs.rng(2).standard_normal((BATCH, 3, inputs.pixels, inputs.pixels)).astype("float32")
    )
    labels = inputs.tensor("labels", inputs.batch_labels)
    counts = inputs.tensor("counts", inputs.class_counts)
    return {"mixed": technique.mix(images, labels, counts, inputs.generator(3))}


def model(technique: Model, inputs: Inputs) -> Result:
    import torch

    network = build(technique, 3, 32, inputs.classes).eval()
    images = inputs.tensor("images", inputs.rng(2).standard_normal((2, 3, 32, 32)).astype("float32"))
    with torch.no_grad():
        logits = network(images)
    sizes = sum(p.numel() for p in network.parameters())
    return {"logits": logits, "parameters": sizes, "mean_std": technique.mean_std(3)}


def build(technique: Model, channels: int, size: int, classes: int) -> Any:
    """Return the network, built as in a job."""
    import torch

    from ltbench.engine.network import build as build_network

    return build_network(technique, info_of(channels, size, classes), 0, torch.device("cpu"))


def info_of(channels: int, size: int, classes: int) -> DatasetInfo:
    """Return the description of a data set with these dimensions."""
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


def losses_of(technique: Loss, inputs: Inputs, *, size: float = 1.0) -> tuple[Any, Any]:
    """Return logits of this size, float32 [B, C] with gradient, and the losses of a batch."""
    leaf = inputs.tensor("weights", (size * inputs.logits()).astype("float32")).requires_grad_()
    # As in training, the logits are not a leaf of the graph, because in-place changes of a leaf would raise.
    logits = inputs.track("logits", leaf * 1)
    labels = inputs.tensor("labels", inputs.batch_labels)
    return leaf, technique.per_sample(logits, labels, inputs.tensor("counts", inputs.class_counts))


def loss(technique: Loss, inputs: Inputs) -> Result:
    leaf, losses = losses_of(technique, inputs)
    if losses.requires_grad:
        losses.sum().backward()
    return {"losses": losses, "gradient": leaf.grad}


def weight(technique: Weight, inputs: Inputs) -> Result:
    counts = inputs.tensor("counts", inputs.class_counts)
    weights = inputs.track("weights", technique.weights(counts))
    labels = inputs.tensor("labels", inputs.batch_labels)
    losses = inputs.tensor("losses", inputs.rng(4).random(BATCH).astype("float32"))
    return {"weights": weights, "reduced": technique.reduce(losses, weights[labels])}


def auxiliary(technique: Auxiliary, inputs: Inputs) -> Result:
    trial = AuxiliaryTrial(technique, inputs, size=inputs.size)
    result: Result = {}
    for step in range(3):
        views, leaves = trial.views(step)
        term = trial.term(views, step)
        if term.requires_grad:
            term.backward()
        result[f"term of step {step}"] = term
        result[f"gradients of step {step}"] = [leaf.grad for leaf in leaves]
        trial.after_step(views)
        result[f"state after step {step}"] = trial.state
        if step == 1:
            trial.after_epoch(2)
            result["state after an epoch"] = trial.state
    return result


def regime(technique: Regime, _inputs: Inputs) -> Result:
    return {"phases": list(technique.phases())}


def view(technique: View, inputs: Inputs) -> Result:
    images = inputs.tensor("images", inputs.rng(2).standard_normal((4, 3, 8, 8)).astype("float32"))
    views = {name: of(images) for name, of in technique.views().items()}
    logits = inputs.array("logits", [inputs.logits(seed=seed) for seed in range(len(views))])
    return {"views": views, "probabilities": technique.merge(logits)}


def linear_classifier(inputs: Inputs, *, features: bool = False) -> LinearClassifier:
    """Return norms and bias of a made-up classifier, and with features its weights."""
    norms = 0.5 + inputs.rng(5).random(inputs.classes)
    bias = inputs.array("bias", inputs.rng(6).standard_normal(inputs.classes))
    rows = inputs.rng(7).standard_normal((inputs.classes, FEATURES))
    weights = rows * (norms / (rows**2).sum(1) ** 0.5)[:, None]
    return LinearClassifier(inputs.array("norms", norms), bias, inputs.array("weights", weights) if features else None)


def predicted(inputs: Inputs, seed: int, *, features: bool, labels: bool, images: int = BATCH) -> Predicted:
    """Return made-up predictions of images."""
    drawn = inputs.rng(seed + 20).integers(inputs.classes, size=images)
    return Predicted(
        logits=inputs.array("logits", inputs.logits(images, seed)),
        features=inputs.array("features", inputs.rng(seed).standard_normal((images, FEATURES))) if features else None,
        labels=inputs.array("labels", drawn) if labels else None,
    )


def evidence(technique: Posthoc, inputs: Inputs, seed: int = 30) -> Evidence:
    """Return made-up evidence of the kinds that a posthoc uses."""
    used = technique.uses()
    features = "features" in used
    # More images than classes, so that most classes have one; a class without is tested, too.
    splits = {
        split: predicted(inputs, seed + number, features=features, labels=True, images=4 * BATCH)
        for number, split in enumerate(("held_out", "train"))
        if split in used
    }
    counts = inputs.array("counts", inputs.class_counts)
    return Evidence(counts=counts, classifier=linear_classifier(inputs, features=features), **splits)


def adjusted(technique: Posthoc, inputs: Inputs, given: Evidence | None, images: Predicted) -> Any:
    """Return the logits that a posthoc makes of predictions. given: what it is fitted to, if it uses evidence."""
    state = technique.fit(given) if technique.uses() and given is not None else None
    classifier = linear_classifier(inputs, features="features" in technique.uses())
    return technique.adjust_with(state, images, inputs.array("counts", inputs.class_counts), classifier)


def posthoc(technique: Posthoc, inputs: Inputs) -> Result:
    images = predicted(inputs, 1, features="features" in technique.uses(), labels=False)
    return {"logits": adjusted(technique, inputs, evidence(technique, inputs), images)}


def ensemble(technique: Ensemble, inputs: Inputs) -> Result:
    counts = inputs.track("counts", inputs.class_counts.tolist())
    members = list(technique.members(counts))
    labels = inputs.array("labels", inputs.labels)
    numbers = [member.bag for member in members if member.bag is not None][:BAGS]
    bags = [technique.bag(number, labels, inputs.rng(8)) for number in numbers]
    probabilities = inputs.array("probabilities", [inputs.probabilities(seed=seed) for seed in range(len(members))])
    return {"members": members, "bags": bags, "probabilities": technique.merge(probabilities)}


def metric(technique: Metric, inputs: Inputs) -> Result:
    probabilities = inputs.array("probabilities", inputs.probabilities(4 * BATCH))
    labels = inputs.array("labels", inputs.rng(9).integers(inputs.classes, size=4 * BATCH))
    return dict(technique.compute(probabilities, labels, inputs.array("counts", inputs.class_counts)))


_FUNCTIONS: tuple[Callable[[Any, Inputs], Result], ...] = (
    dataset, profile, sampler, augment, mix, model, loss, weight, auxiliary, regime, view, posthoc, ensemble, metric,
)  # fmt: skip
_CALLS = {function.__name__: function for function in _FUNCTIONS}


def call_all(technique: Technique, inputs: Inputs) -> Result:
    """Call every method of a technique and return the results by name."""
    return _CALLS[technique.stage](technique, inputs)
