"""A fit: one training, from a spec to the artefact that predictions and later fits start from.

    weights.safetensors   the weights that predict
    state.safetensors     what a later fit goes on from; with `keep_state` only
    meta.json             spec, data, steps, curve, cost, environment, plugins

A fit that goes on from another one ends with the very bits that an undivided training ends with. So the parent only
saves time: where its state is gone, the training starts from the beginning.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ltbench.cells import Job, Spec, identity, stream_seed
from ltbench.checked import built
from ltbench.engine.artefact import read_tensors, write_json, write_tensors
from ltbench.engine.checks import naming_techniques
from ltbench.engine.cost import forget_peak_memory, peak_memory
from ltbench.engine.data import Subset, load, narrow
from ltbench.engine.environment import environment
from ltbench.engine.numerics import reproducible, seeded
from ltbench.engine.training import Training
from ltbench.errors import JobFailed, StoreError
from ltbench.stages import Ensemble

if TYPE_CHECKING:
    from ltbench.registry import Registry
    from ltbench.work import Context

_WEIGHTS = "weights.safetensors"
_STATE = "state.safetensors"


def fit_many(jobs: Iterable[Job], context: Context) -> None:
    """Train a list of jobs, one after the other."""
    for job in jobs:
        fit(job, context)


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
    with naming_techniques(), reproducible(device), seeded(spec["seed"], "dropout", device):
        training = Training(spec, subset, context.registry, device)
        resumed = _resume(training, job, context)
        training.run()
        meta = {
            "spec": spec,
            "data": subset.summary(),
            "steps": training.steps,
            "curve": training.curve.entries(),
            "cost": _cost(training, device) | {"job_seconds": time.perf_counter() - began},
            "environment": environment(device),
            "plugins": provenance(spec, context.registry),
            "resumed_from": resumed,
        }
        with context.store.writing(job.key) as folder:
            write_tensors(folder / _WEIGHTS, training.average.module.state_dict())
            if job.keep_state:
                write_tensors(folder / _STATE, *training.state())
            write_json(folder / "meta.json", meta)


def training_subset(spec: Spec, context: Context) -> Subset:
    """Return the images that a fit trains on: the subset of its data, or its bag of it."""
    subset = load(spec["data"], context.registry, context.data_root)
    if spec["bag"] is None:
        return subset
    ensemble = built(context.registry, spec["bag"]["ensemble"], Ensemble)
    # The same stream for every bag, so that the bags of one run can be parts of one division.
    rng = np.random.default_rng(stream_seed(spec["seed"], "members"))
    with naming_techniques():
        indices = ensemble.bag(spec["bag"]["number"], subset.labels.numpy(), rng)
    return narrow(subset, indices, where=f"ensemble '{ensemble.label}', bag {spec['bag']['number']}")


def provenance(spec: Spec, registry: Registry) -> list[dict[str, Any]]:
    """Return who made each technique of a fit, each once, in the order of stages."""
    data, bag = spec["data"], spec["bag"]
    parts = [data["dataset"], data["profile"], spec["model"], *([] if bag is None else [bag["ensemble"]])]
    stages = ("sampler", "augment", "mix", "loss", "weight")
    parts += [segment[stage] for segment in spec["segments"] for stage in stages if segment[stage] is not None]
    return [registry.provenance(registry.build(part)) for part in {part["name"]: part for part in parts}.values()]


def _resume(training: Training, job: Job, context: Context) -> str | None:
    """Restore the state of the job's parent, where it is there; return the parent's key."""
    for parent in job.parents:
        try:
            state = context.store.checked(parent) / _STATE
        except StoreError:
            continue
        if state.is_file():
            _check_beginning(parent, context.store.meta(parent)["spec"], job)
            training.restore(*read_tensors(state))
            return parent
    return None


def _check_beginning(key: str, parent: Spec, job: Job) -> None:
    """Raise `JobFailed` unless the job's training passes through the state that the parent ends with."""
    last = parent["segments"][-1]
    begun = job.spec["segments"][: len(parent["segments"])]
    cut = [*begun[:-1], begun[-1] | {"until": last["until"]}]
    # A restarted segment has a learning-rate curve over its own span, so a shorter one is another training.
    whole = begun[-1]["until"] == last["until"] or not last["restart"]
    if not whole or last["until"] > begun[-1]["until"] or identity(job.spec | {"segments": cut}) != key:
        raise JobFailed(f"fit {job.key} does not begin like fit {key}, which it is to go on from")


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
