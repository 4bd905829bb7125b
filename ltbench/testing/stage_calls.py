"""Calls every method of a technique: a function per stage, which returns all results by name.

The checks common to all stages compare these results and need to know nothing else about a stage.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltbench.core.checksums import digest
from ltbench.core.folders import data_root
from ltbench.errors import DataError, LtbenchError, UsageError
from ltbench.stages import (
    Augment,
    Auxiliary,
    Branches,
    Dataset,
    DatasetInfo,
    Ensemble,
    Evidence,
    Finetune,
    Head,
    LinearClassifier,
    Loss,
    Metric,
    Mix,
    Model,
    Moment,
    Outputs,
    Posthoc,
    Predicted,
    Profile,
    Regime,
    Sampler,
    Update,
    View,
    Weight,
)
from ltbench.technique import Technique
from ltbench.testing.auxiliary_trial import AuxiliaryTrial
from ltbench.testing.finding import Skip
from ltbench.testing.finetune_trial import FinetuneTrial
from ltbench.testing.head_and_update_trials import HEAD_FEATURES, UpdateTrial, head_of
from ltbench.testing.inputs import BATCH, Inputs
from ltbench.testing.network_outputs import LATER, START, batches, detached, network_outputs, with_state
from ltbench.testing.told import EPOCHS, is_told, moment_at, states, told

if TYPE_CHECKING:
    from ltbench.stages import State

Result = dict[str, Any]
BATCH_SIZE = 64
"""Batch size of the recipe."""
NUMBERS_OF_BRANCHES = (3, 2, 4, 1)
"""Numbers of branches that a loss is tried with."""
BLOCKS = range(1, 13)
"""Numbers of blocks of a network, for branches."""
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
    moments = [moment_at(0), moment_at(EPOCHS - 1)]
    epochs = [technique.epoch_at(pool, labels, counts, BATCH_SIZE, at, drawing).clone() for at in moments]
    size = technique.batch_size(BATCH_SIZE, inputs.classes)
    return {"pool": pool, "batch_size": size, "epochs": epochs, "share": technique.share(counts)}


def augment(technique: Augment, inputs: Inputs) -> Result:
    known = states(technique, inputs)
    results: Result = {"states": known}
    for channels in (3, 1):
        stored = inputs.tensor("stored images", inputs.images(12, channels, 2 * inputs.pixels))
        images = inputs.tensor("images", inputs.images(12, channels, 2 * inputs.pixels) / 255).float()
        inputs.track("images", images)
        if is_told(technique):
            results[f"apply to {channels} channels"] = [
                technique.apply_to(images, told(technique, inputs, len(images), at, state), inputs.generator(3)).clone()
                for at in (moment_at(0), moment_at(EPOCHS - 1))
                for state in known
            ]
            continue
        results[f"apply to {channels} channels"] = technique.apply(images, inputs.generator(3)).clone()
        indices = inputs.tensor("indices", [5, 1, 1, 11])
        prepared = technique.prepare(stored)
        results[f"batch of {channels} channels"] = technique.batch(prepared, indices, inputs.generator(3))
    return results


def mix(technique: Mix, inputs: Inputs) -> Result:
    known = states(technique, inputs)
    results: Result = {"states": known, "partner": technique.partner, "where": technique.where}
    shapes = [(3, inputs.pixels, inputs.pixels), *([(5, 3, 3), (7,)] if technique.where == "hidden" else [])]
    # One that overrides `blend` may depend on the moment.
    epochs = range(EPOCHS) if type(technique).blend is not Mix.blend else range(1)
    for shape in shapes:
        images = inputs.tensor("images", inputs.rng(2).standard_normal((BATCH, *shape)).astype("float32"))
        results[f"mixed {len(shape)}"] = [
            technique.blend(images, told(technique, inputs, BATCH, moment_at(epoch), state), inputs.generator(3))
            for epoch in epochs
            for state in known
        ]
    return results


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


def finetune(technique: Finetune, inputs: Inputs) -> Result:
    trial = FinetuneTrial(technique, inputs)
    learning = [len(members) for _, members in trial.rules.groups(trial.network.parameters())]
    result: Result = {"learning": learning, "logits": trial.logits()}
    trial.initialise()
    result["initialised"] = trial.logits()
    trial.train()
    return result | {"trained": trial.logits()}


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


def losses_of(
    technique: Loss,
    inputs: Inputs,
    *,
    size: float = 1.0,
    branches: int | None = None,
    moment: Moment = START,
    state: State | None = None,
) -> tuple[Outputs, tuple[Any, Any], Any]:
    """Return the outputs of a network, the leaves of their graph, logits and features, and the losses of the batch.

    size: factor of the logits; branches: E, by default one, or what a loss that is told of branches is for; state: what
    the loss remembers, by default that of the start.
    """
    number = branches_for(technique, inputs) if branches is None else branches
    outputs, leaves = network_outputs(inputs, technique, branches=number, size=size, state=state)
    labels = inputs.tensor("labels", inputs.batch_labels)
    return outputs, leaves, technique.of(outputs, labels, inputs.tensor("counts", inputs.class_counts), moment)


def branches_for(technique: Loss, inputs: Inputs) -> int:
    """Return a number of branches that a loss works with: one, if it is not told of them."""
    if type(technique).of is Loss.of:
        return 1
    for number in NUMBERS_OF_BRANCHES:
        try:
            losses_of(technique, Inputs(inputs.classes), branches=number)
        except LtbenchError:
            continue
        return number
    return NUMBERS_OF_BRANCHES[0]


def loss(technique: Loss, inputs: Inputs) -> Result:
    outputs, leaves, losses = losses_of(technique, inputs)
    if losses.requires_grad:
        losses.sum().backward()
    result = {"losses": losses, "gradients": [leaf.grad for leaf in leaves]}
    if type(technique).of is Loss.of:
        return result
    # After two steps, the second with blended images, at later moments.
    state = outputs.state
    for batch in batches(inputs):
        state = technique.after_step(detached(outputs), batch, outputs.layers[0], state)
        outputs = with_state(outputs, state)
    later = [losses_of(technique, inputs, moment=moment, state=state)[2] for moment in LATER]
    return result | {"state": dict(state), "later losses": later}


def branches(technique: Branches, inputs: Inputs) -> Result:
    import torch

    number = technique.number()
    arrays = inputs.array("logits", [inputs.logits(seed=seed) for seed in range(number)])
    tensors = inputs.tensor("branches", torch.as_tensor(arrays, dtype=torch.float32))
    return {
        "number": number,
        "shared": [technique.shared(blocks) for blocks in BLOCKS],
        "shares": [technique.share(moment) for moment in (START, *LATER)],
        "merged": technique.merge(tensors),
        "merged array": technique.merge(arrays),
        "merged in training": [technique.merge_at(tensors, moment) for moment in (START, *LATER)],
    }


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


def head(technique: Head, inputs: Inputs) -> Result:
    built = head_of(technique, inputs)
    features = inputs.tensor("features", inputs.rng(2).standard_normal((BATCH, HEAD_FEATURES)).astype("float32"))
    return {"logits": built(features), "parameters": sorted(name for name, _ in built.named_parameters())}


def update(technique: Update, inputs: Inputs) -> Result:
    trial = UpdateTrial(technique, inputs)
    result: Result = {}
    for number in range(3):
        trial.step()
        result[f"weights after {number + 1} steps"] = trial.weights.detach().clone()
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
    dataset, profile, sampler, augment, mix, model, finetune, head, branches, loss, weight, auxiliary, update, regime, view,
    posthoc, ensemble, metric,
)  # fmt: skip
_CALLS = {function.__name__: function for function in _FUNCTIONS}


def call_all(technique: Technique, inputs: Inputs) -> Result:
    """Call every method of a technique and return the results by name."""
    return _CALLS[technique.stage](technique, inputs)
