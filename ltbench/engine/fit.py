"""A fit: one training, from its spec to the artefact that predictions use.

    weights.safetensors   the weights that predict
    meta.json             spec, data, steps, curve, cost, environment, plugins

The state from which a later fit continues and, during training, snapshots are separate artefacts
(`ltbench.store.training_states`). A fit that continues from any of them is bit-identical to an uninterrupted one.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from ltbench.core.spec import Job, Spec, identity, techniques_in
from ltbench.engine.determinism import reproducible, seeded
from ltbench.engine.environment import environment
from ltbench.engine.features import feature_subset
from ltbench.engine.head_stack import HeadStack
from ltbench.engine.measured_cost import peak_memory, reset_peak_memory
from ltbench.engine.output_checks import naming_techniques
from ltbench.engine.resume import Snapshots, resume, store_state
from ltbench.engine.subset import Subset, bag_indices, load, select_images, unmodified
from ltbench.engine.tensor_files import write_tensors
from ltbench.engine.trained_network import trained_network
from ltbench.engine.training import Training
from ltbench.stages import COMPANIONS, NETWORK_STAGES, TRAINING_STAGES
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
    if job.together:
        for error in fit_together([job], context).values():
            raise error
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
        # Store the state first: once the fit is stored, the job is done and would not run again for its state.
        if job.keep_state:
            store_state(training, end_state(job.key), spec, plugins, context.store)
        cost = _cost(training, device, _teacher_cost(spec, context.store)) | {
            "job_seconds": time.perf_counter() - began
        }
        _store(job, training, subset, cost, plugins, context, resumed)
    for snapshot in filter(context.store.has, snapshots(job.key)):
        context.store.discard(snapshot)


def fit_together(jobs: Sequence[Job], context: Context) -> dict[str, Exception]:
    """Train fits of one stack (`Job.together`) and store them; return the errors of those that fail, by key.

    Fits in the store are left out. Each has the bits that it would have alone.
    """
    missing = [job for job in jobs if not context.store.has(job.key)]
    if not missing:
        return {}
    device = torch.device(context.device)
    reset_peak_memory(device)
    began = time.perf_counter()
    failed: dict[str, Exception] = {}
    trainings: dict[str, Training] = {}
    with reproducible(device):
        subset = training_subset(missing[0].spec, context)
        specs = [job.spec for job in missing]
        with unmodified(subset, {"fits": specs}):
            for job in missing:
                try:
                    with naming_techniques(), seeded(job.spec["seed"], "dropout", device):
                        trainings[job.key] = Training(job.spec, subset, context.registry, device)
                except Exception as error:  # noqa: BLE001 - a technique may raise anything
                    failed[job.key] = error
            assert isinstance(subset.images, torch.Tensor), "features are in memory"
            failed |= HeadStack(trainings, subset.images, device).run()
        for job in missing:
            if job.key not in failed:
                training = trainings[job.key]
                training.seconds = (time.perf_counter() - began) / len(missing)
                cost = _cost(training, device, {}) | {"job_seconds": training.seconds}
                _store(job, training, subset, cost, provenance(job.spec, context.registry), context, None)
    return failed


def _store(
    job: Job, training: Training, subset: Subset, cost: dict[str, Any], plugins: list[dict[str, Any]], context: Context,
    resumed: str | None,
) -> None:  # fmt: skip
    """Store what predictions and records need of a training that is done. resumed: the state that it resumed from."""
    meta = {
        "spec": job.spec,
        "data": subset.summary(),
        "steps": training.steps,
        "curve": training.curve.entries(),
        "cost": cost,
        "environment": environment(torch.device(context.device)),
        "plugins": plugins,
        "resumed_from": resumed,
    }
    with context.store.writing(job.key) as folder:
        write_tensors(folder / WEIGHTS, training.predictor.state_dict())
        write_json(folder / "meta.json", meta)


def training_subset(spec: Spec, context: Context) -> Subset:
    """Return the training subset of a fit, or the bag that its ensemble draws from the subset.

    For a fit that trains on features, it has these instead of images.
    """
    if spec.get("features"):
        subset = feature_subset(spec, context)
    else:
        subset = load(spec["data"], context.registry, context.data_root)
    indices = bag_indices(spec, subset.labels, context)
    return subset if indices is None else select_images(subset, indices)


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
        "parameters": training.parameters,
        "macs": training.macs,
    }
