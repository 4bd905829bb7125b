"""Calls every method of a technique: a function per stage, which returns all results by name.

The checks common to all stages compare these results and need to know nothing else about a stage.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ltbench.stages import (
    Auxiliary,
    Branches,
    DatasetInfo,
    Ensemble,
    Finetune,
    Head,
    Loss,
    Metric,
    Model,
    Posthoc,
    Regime,
    Update,
    View,
    Weight,
)
from ltbench.technique import Technique
from ltbench.testing import loss_trial
from ltbench.testing.auxiliary_trial import AuxiliaryTrial
from ltbench.testing.feeding_calls import augment, dataset, mix, profile, sampler
from ltbench.testing.finetune_trial import FinetuneTrial
from ltbench.testing.head_and_update_trials import HEAD_FEATURES, UpdateTrial, head_of
from ltbench.testing.inputs import BATCH, Inputs
from ltbench.testing.network_outputs import LATER, START
from ltbench.testing.posthoc_evidence import adjusted, evidence, predicted

Result = dict[str, Any]
BLOCKS = range(1, 13)
"""Numbers of blocks of a network, for branches."""
BAGS = 3
"""Number of bags of an ensemble to check."""


def model(technique: Model, inputs: Inputs) -> Result:
    import torch

    from ltbench.engine.parameter_groups import ParameterRules

    network = build(technique, 3, 32, inputs.classes).eval()
    images = inputs.tensor("images", inputs.rng(2).standard_normal((2, 3, 32, 32)).astype("float32"))
    with torch.no_grad():
        logits = network(images)
    sizes = sum(p.numel() for p in network.parameters())
    rules = ParameterRules()
    rules.add_model(technique, network)
    rates = [(*rates, len(members)) for rates, members in rules.groups(network.parameters())]
    result: Result = {
        "logits": logits, "parameters": sizes, "mean_std": technique.mean_std(3), "rates": rates, "frozen": technique.is_frozen,
    }  # fmt: skip
    if type(technique).initialise is not Model.initialise:
        labels = inputs.tensor("labels", inputs.batch_labels[: len(images)])
        with torch.no_grad():
            technique.initialise(network, [(images, labels)])
            result["initialised"] = network(images)
    return result


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


def loss(technique: Loss, inputs: Inputs) -> Result:
    return loss_trial.results(technique, inputs)


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
        trial.backward(term)
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


def posthoc(technique: Posthoc, inputs: Inputs) -> Result:
    images = predicted(inputs, 1, features="features" in technique.uses(), labels=False)
    branches = inputs.array("branches", [[inputs.logits(seed=10 * v + e) for e in range(3)] for v in range(2)])
    logits = adjusted(technique, inputs, evidence(technique, inputs), images)
    return {"logits": logits, "weights of branches": technique.branch_weights(branches)}


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
