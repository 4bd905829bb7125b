"""The members of a model: their weights, and what a posthoc is fitted to for each of them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ltbench.core.spec import label_of
from ltbench.jobs.cell import stored_logits
from ltbench.jobs.evidence import Needed
from ltbench.jobs.plugin_calls import adjust_checked, call_plugin
from ltbench.jobs.posthoc import adjusted_logits, branch_weights, fitted_states, weighs_branches
from ltbench.jobs.prediction_file import StoredPrediction, read_prediction
from ltbench.records.record import Record
from ltbench.stages import Branches, LinearClassifier, Model, Posthoc, Predicted, View
from ltbench.trained_model.adjustments import adjustment_of, stored_state
from ltbench.trained_model.description import Adjustment, Member
from ltbench.trained_model.views import views_in

if TYPE_CHECKING:
    from ltbench.engine.model_networks import RunningNetwork
    from ltbench.executor import Context, Techniques
    from ltbench.stages import DatasetInfo, IntArray


def artefacts(record: Record, registry: Techniques) -> list[str]:
    """Return the keys that an export reads from the store: trainings, and predictions that something is fitted to."""
    return [*record.spec["members"], *(key for member in evidence_keys(record, registry) for key in _flat(member))]


def _flat(by_split: dict[str, list[str]]) -> Iterable[str]:
    return (key for keys in by_split.values() for key in keys)


def evidence_keys(record: Record, registry: Techniques) -> list[dict[str, list[str]]]:
    """Return the keys of the predictions that something is fitted to, by split, for each member."""
    posthoc = posthoc_of(record, registry)
    needed = Needed.by_cell(record.spec, record.fits[0]["data"], registry)
    wanted = {"held_out", "train", *(["test"] if weighs_branches(posthoc) else [])}
    keys = needed.keys(record.spec, views_names(record, registry))
    return [{split: of for split, of in member.items() if split in wanted} for member in keys]


def write_member(
    record: Record, number: int, context: Context, info: DatasetInfo, images: Any, arrays: dict[str, Any], folder: Path
) -> Member:
    """Write the weights of a member, and return its facts. arrays: collects what goes into posthoc.safetensors."""
    from ltbench.engine.model_graph import timm_prefix
    from ltbench.engine.model_networks import CPU, RunningNetwork
    from ltbench.engine.network import mean_and_deviation, normaliser_of
    from ltbench.engine.predict import prepared
    from ltbench.engine.tensor_files import write_tensors
    from ltbench.engine.trained_network import trained_network

    registry, spec, key = context.registry, record.fits[number], record.spec["members"][number]
    network = trained_network(key, context, info, CPU)
    model = registry.build_as(spec["model"], Model)
    mean, deviation = mean_and_deviation(model, info)
    made, prefix = model.in_timm(info.channels, info.size, len(info.classes)), None
    if made is not None and "branches" not in spec:
        import torch

        pixels = prepared(normaliser_of(mean, deviation, CPU), lambda same: same)(torch.tensor(images[:2]))
        prefix = timm_prefix(network, made, pixels)
    name = "model.safetensors" if len(record.fits) == 1 else f"model-{number}.safetensors"
    weights = {key.removeprefix(prefix or ""): value for key, value in network.state_dict().items()}
    write_tensors(folder / name, weights)
    counts = np.asarray(context.store.meta(key)["data"]["counts"], np.int64)
    running = RunningNetwork(network, views_in(record.spec["view"], views_names(record, registry), registry), mean, deviation, spec)  # fmt: skip
    states, adjustments, classifiers = _fitted(record, number, context, counts, running, images)
    for branch, classifier in enumerate(classifiers if record.spec["posthoc"] else ()):
        for part in ("norms", "bias", "weights"):
            if classifier is not None and (value := getattr(classifier, part)) is not None:
                arrays[f"{number}.classifier.{branch}.{part}"] = np.ascontiguousarray(value)
    who = label_of(record.spec["posthoc"])
    return Member(
        weights=name,
        prefix=prefix or "",
        fit=key,
        spec=spec,
        counts=tuple(counts.tolist()),
        mean=mean,
        deviation=deviation,
        timm=None if prefix is None else made,
        states=[
            [stored_state(state, f"{number}.state.{place}.{branch}", arrays, who) for branch, state in enumerate(view)]
            for place, view in enumerate(states)
        ],
        adjustments=adjustments,
        branch_weights=_weights(record, number, context, counts),
    )


def _fitted(
    record: Record, number: int, context: Context, counts: IntArray, running: RunningNetwork, images: Any
) -> tuple[list[list[Any]], list[list[Adjustment | None]], list[LinearClassifier | None]]:
    """Return states and adjustments of the posthoc for each view and branch of a member, and its classifiers."""
    registry, posthoc = context.registry, posthoc_of(record, context.registry)
    features = posthoc is not None and "features" in posthoc.uses()
    classifiers = running.classifiers(images[:2], weights=features)
    same = Adjustment(scale=(1.0,) * len(counts), shift=(0.0,) * len(counts))
    if posthoc is None:
        plain: list[list[Adjustment | None]] = [[same] * len(classifiers) for _ in running.views]
        return [[None] * len(classifiers) for _ in running.views], plain, classifiers
    keys = evidence_keys(record, registry)[number]
    width = running.predict(images[:1], classifiers, features=True)[0].features if features else None
    states, adjustments = [], []
    for place in range(len(running.views)):
        stored = {split: read_stored(context, of[place], record, number) for split, of in keys.items()}
        evidence = posthoc.uses()
        used = {split: one for split, one in stored.items() if split in {"held_out", "train"} & evidence}
        found = fitted_states(registry, posthoc, used, counts, _classes(record)) if used else [None] * len(classifiers)
        states.append(found)
        adjustments.append([
            _adjustment(registry, posthoc, state, counts, classifier, width, _classes(record))
            for state, classifier in zip(found, classifiers, strict=True)
        ])  # fmt: skip
    return states, adjustments, classifiers


def _adjustment(
    registry: Techniques, posthoc: Posthoc, state: Any, counts: IntArray, classifier: LinearClassifier | None, features: Any, classes: tuple[str, ...],
) -> Adjustment | None:  # fmt: skip
    rng = np.random.default_rng(1)

    def adjust(logits: Any) -> Any:
        # Other features for each image: what depends on them is no function of the logits.
        drawn = None if features is None else rng.normal(size=(len(logits), features.shape[-1]))
        return adjust_checked(
            registry, posthoc, state, Predicted(logits=logits, features=drawn, classes=classes), counts, classifier
        )

    return adjustment_of(adjust, len(counts))


def _weights(record: Record, number: int, context: Context, counts: IntArray) -> tuple[float, ...] | None:
    """Return the weights of the branches of a member that its posthoc finds on the unlabelled test images."""
    registry, posthoc = context.registry, posthoc_of(record, context.registry)
    if not weighs_branches(posthoc) or Branches.stage not in record.fits[number]:
        return None
    keys = evidence_keys(record, registry)[number]
    stored = [
        {split: read_stored(context, of[place], record, number) for split, of in keys.items()}
        for place in range(len(views_names(record, registry)))
    ]
    adjusted = [
        np.stack(adjusted_logits(registry, posthoc, one, counts, ["test"], _classes(record))["test"]) for one in stored
    ]
    weights = branch_weights(registry, posthoc, np.stack(adjusted))
    return None if weights is None else tuple(weights.tolist())


def read_stored(context: Context, key: str, record: Record, number: int) -> StoredPrediction:
    branched = Branches.stage in record.fits[number]
    return read_prediction(stored_logits(context, key), key, len(record.data["counts"]), branched=branched)


def _classes(record: Record) -> tuple[str, ...]:
    return tuple(record.data.get("classes", ()))


def posthoc_of(record: Record, registry: Techniques) -> Posthoc | None:
    return None if record.spec["posthoc"] is None else registry.build_as(record.spec["posthoc"], Posthoc)


def views_names(record: Record, registry: Techniques) -> list[str]:
    view = registry.build_as(record.spec["view"], View)
    names = call_plugin(registry, view, view.views)
    return list(names)  # type: ignore[call-overload,no-any-return]
