"""A fit: one training, from a spec to the artefact that predictions and later fits start from.

    weights.safetensors   the weights that predict
    meta.json             spec, data, steps, curve, cost, environment, plugins

Beside it, as artefacts of their own (`ltbench.store.training_states`), lie the state that a later fit goes on from and, while it
runs, snapshots. A fit that goes on from any of them ends with the very bits that an undivided training ends with.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ltbench.core.spec import Job, Spec, stream_seed
from ltbench.engine.determinism import reproducible, seeded
from ltbench.engine.environment import environment
from ltbench.engine.measured_cost import forget_peak_memory, peak_memory
from ltbench.engine.output_checks import naming_techniques
from ltbench.engine.resume import Snapshots, keep, resume
from ltbench.engine.subset import Subset, load, narrow
from ltbench.engine.tensor_files import write_json, write_tensors
from ltbench.engine.training import Training
from ltbench.stages import Ensemble
from ltbench.store.training_states import end_state, snapshots

if TYPE_CHECKING:
    from ltbench.executor import Context, Techniques

_WEIGHTS = "weights.safetensors"


def fit(job: Job, context: Context) -> None:
    """Train what `job` says and put it into the store; do nothing where it is there.

    Raises `JobFailed` where the loss or a weight is not finite, or a technique raises or returns something wrong.
    """
    if context.store.has(job.key):
        return
    began = time.perf_counter()
    device, spec = torch.device(context.device), job.spec
    forget_peak_memory(device)
    subset = training_subset(spec, context)
    plugins = provenance(spec, context.registry)
    with naming_techniques(), reproducible(device), seeded(spec["seed"], "dropout", device):
        training = Training(spec, subset, context.registry, device)
        resumed = resume(training, job, context.store, partial(provenance, registry=context.registry))
        training.run(Snapshots(job, context.store, plugins, context.snapshot_seconds))
        meta = {
            "spec": spec,
            "data": subset.summary(),
            "steps": training.steps,
            "curve": training.curve.entries(),
            "cost": _cost(training, device) | {"job_seconds": time.perf_counter() - began},
            "environment": environment(device),
            "plugins": plugins,
            "resumed_from": resumed,
        }
        if job.keep_state:
            keep(training, end_state(job.key), spec, plugins, context.store)
        with context.store.writing(job.key) as folder:
            write_tensors(folder / _WEIGHTS, training.average.module.state_dict())
            write_json(folder / "meta.json", meta)
    for snapshot in filter(context.store.has, snapshots(job.key)):
        context.store.discard(snapshot)


def training_subset(spec: Spec, context: Context) -> Subset:
    """Return the images that a fit trains on: the subset of its data, or its bag of it."""
    subset = load(spec["data"], context.registry, context.data_root)
    if spec["bag"] is None:
        return subset
    ensemble = context.registry.build_as(spec["bag"]["ensemble"], Ensemble)
    # The same stream for every bag, so that the bags of one run can be parts of one division.
    rng = np.random.default_rng(stream_seed(spec["seed"], "members"))
    with naming_techniques():
        indices = ensemble.bag(spec["bag"]["number"], subset.labels.numpy(), rng)
    return narrow(subset, indices, where=f"ensemble '{ensemble.label}', bag {spec['bag']['number']}")


def provenance(spec: Spec, registry: Techniques) -> list[dict[str, Any]]:
    """Return who made each technique of a fit, each once, in the order of stages."""
    data, bag = spec["data"], spec["bag"]
    parts = [data["dataset"], data["profile"], spec["model"], *([] if bag is None else [bag["ensemble"]])]
    stages = ("sampler", "augment", "mix", "loss", "weight")
    parts += [segment[stage] for segment in spec["segments"] for stage in stages if segment[stage] is not None]
    return [registry.provenance(registry.build(part)) for part in {part["name"]: part for part in parts}.values()]


def _cost(training: Training, device: torch.device) -> dict[str, Any]:
    """Return the cost of the whole training, whatever part of it was done by other jobs."""
    return {
        "train_seconds": training.seconds,
        "samples": training.samples,
        "samples_per_second": training.samples / training.seconds,
        "peak_memory_bytes": peak_memory(device),
        "parameters": sum(p.numel() for p in training.network.parameters()),
        "macs": training.macs,
    }
