"""A fit: one training, from its spec to the artefact that predictions use.

    weights.safetensors   the weights that predict
    meta.json             spec, data, steps, curve, cost, environment, plugins

The state from which a later fit continues and, during training, snapshots are separate artefacts
(`ltbench.store.training_states`). A fit that continues from any of them is bit-identical to an uninterrupted one.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ltbench.core.spec import Job, Spec, identity, stream_seed, techniques_in
from ltbench.engine.determinism import reproducible, seeded
from ltbench.engine.environment import environment
from ltbench.engine.measured_cost import peak_memory, reset_peak_memory
from ltbench.engine.output_checks import check_indices, leaving_no_state, naming_techniques
from ltbench.engine.resume import Snapshots, resume, store_state
from ltbench.engine.subset import Subset, load, select_images, unmodified
from ltbench.engine.tensor_files import write_tensors
from ltbench.engine.trained_network import trained_network
from ltbench.engine.training import Training
from ltbench.stages import COMPANIONS, NETWORK_STAGES, TRAINING_STAGES, Ensemble
from ltbench.store.format import WEIGHTS, write_json
from ltbench.store.training_states import end_state, snapshots

if TYPE_CHECKING:
    from ltbench.executor import Context, Techniques
    from ltbench.store.store import Store


def fit(job: Job, context: Context) -> None:
    """Train the network of a fit job and store it, unless the store has it.

    Raises `JobFailed` if the loss or a weight is not finite, or a technique raises or returns a wrong value.
    """
    if context.store.has(job.key):
        return
    began = time.perf_counter()
    device, spec = torch.device(context.device), job.spec
    reset_peak_memory(device)
    subset = training_subset(spec, context)
    plugins = provenance(spec, context.registry)
    with naming_techniques(), reproducible(device), seeded(spec["seed"], "dropout", device):
        with unmodified(subset, spec):
            teacher = None
            if "teacher" in spec:
                teacher = trained_network(identity(spec["teacher"]), context, subset.info, device)
            training = Training(spec, subset, context.registry, device, teacher)
            resumed = resume(training, job, context.store, partial(provenance, registry=context.registry))
            training.run(Snapshots(job, context.store, plugins, context.snapshot_seconds))
        meta = {
            "spec": spec,
            "data": subset.summary(),
            "steps": training.steps,
            "curve": training.curve.entries(),
            "cost": _cost(training, device, _teacher_cost(spec, context.store))
            | {"job_seconds": time.perf_counter() - began},
            "environment": environment(device),
            "plugins": plugins,
            "resumed_from": resumed,
        }
        # Store the state first: once the fit is stored, the job is done and would not run again for its state.
        if job.keep_state:
            store_state(training, end_state(job.key), spec, plugins, context.store)
        with context.store.writing(job.key) as folder:
            write_tensors(folder / WEIGHTS, training.predictor.state_dict())
            write_json(folder / "meta.json", meta)
    for snapshot in filter(context.store.has, snapshots(job.key)):
        context.store.discard(snapshot)


def training_subset(spec: Spec, context: Context) -> Subset:
    """Return the training subset of a fit, or the bag that its ensemble draws from the subset."""
    subset = load(spec["data"], context.registry, context.data_root)
    if spec["bag"] is None:
        return subset
    ensemble = context.registry.build_as(spec["bag"]["ensemble"], Ensemble)
    # The same stream for every bag, so that an ensemble can partition the subset into disjoint bags.
    rng = np.random.default_rng(stream_seed(spec["seed"], "members"))
    number = spec["bag"]["number"]
    with naming_techniques(), leaving_no_state(ensemble):
        indices = torch.as_tensor(ensemble.bag(number, subset.labels.numpy(), rng))
    return select_images(subset, check_indices(ensemble, f"bag {number}", indices, len(subset.labels)))


def provenance(spec: Spec, registry: Techniques) -> list[dict[str, Any]]:
    """Return the distribution and version of each technique of a fit, each technique once, in stage order.

    Techniques that only its teacher has follow.
    """
    parts = {part["name"]: part for part in _techniques(spec)}
    return [registry.provenance(registry.build(part)) for part in parts.values()]


def _techniques(spec: Spec) -> list[Mapping[str, Any]]:
    data, bag = spec["data"], spec["bag"]
    parts = [data["dataset"], data["profile"], spec["model"], *([] if bag is None else [bag["ensemble"]])]
    parts += [part for stage in NETWORK_STAGES for part in techniques_in(spec.get(stage))]
    for segment in spec["segments"]:
        parts += [part for stage in (*TRAINING_STAGES, *COMPANIONS) for part in techniques_in(segment.get(stage))]
    return [*parts, *(_techniques(spec["teacher"]) if "teacher" in spec else [])]


def _teacher_cost(spec: Spec, store: Store) -> dict[str, Any]:
    cost: dict[str, Any] = store.meta(identity(spec["teacher"]))["cost"] if "teacher" in spec else {}
    return cost


def _cost(training: Training, device: torch.device, teacher: Mapping[str, Any]) -> dict[str, Any]:
    """Return the cost of the whole training, including the steps that other fits or earlier attempts did.

    teacher: the cost of the teacher's training, which is part of it; empty without one.
    """
    return {
        "train_seconds": training.seconds + teacher.get("train_seconds", 0.0),
        "samples": training.samples + teacher.get("samples", 0),
        "samples_per_second": training.samples / training.seconds,
        "peak_memory_bytes": peak_memory(device),
        "parameters": sum(p.numel() for p in training.network.parameters()),
        "macs": training.macs,
    }
