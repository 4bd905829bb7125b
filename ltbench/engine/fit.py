"""A fit: one training, from its spec to the artefact that predictions use.

    weights.safetensors   the weights that predict
    meta.json             spec, data, steps, curve, cost, environment, plugins

The state from which a later fit continues and, during training, snapshots are separate artefacts
(`ltbench.store.training_states`). A fit that continues from any of them is bit-identical to an uninterrupted one.
"""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from ltbench.core.spec import Job, Spec, identity, techniques_in
from ltbench.engine.determinism import random_state, reproducible, seeded, set_random_state
from ltbench.engine.environment import environment
from ltbench.engine.features import feature_subset
from ltbench.engine.head_stack import HeadStack
from ltbench.engine.measured_cost import peak_memory, reset_peak_memory
from ltbench.engine.network_stack import NetworkStack, stack_key
from ltbench.engine.output_checks import naming_techniques
from ltbench.engine.resume import Snapshots, resume, store_state
from ltbench.engine.stopwatch import running
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
    for error in fit_together([job], context).values():
        raise error


def fit_together(jobs: Sequence[Job], context: Context) -> dict[str, Exception]:
    """Train one fit, or those of one stack (`Job.together`), and store them; return the errors of those that fail, by key.

    Fits in the store are left out. In a stack on features, each has the bits that it would have alone.
    """
    missing = [job for job in jobs if not context.store.has(job.key)]
    if not missing:
        return {}
    device = torch.device(context.device)
    reset_peak_memory(device)
    with reproducible(device, kernels(missing[0].spec)):
        if missing[0].together and missing[0].spec.get("features"):
            return _fit_heads(missing, context, device)
        return _fit_networks(missing, context, device)


def _fit_heads(jobs: Sequence[Job], context: Context, device: torch.device) -> dict[str, Exception]:
    began = time.perf_counter()
    failed: dict[str, Exception] = {}
    trainings: dict[str, Training] = {}
    subset = training_subset(jobs[0].spec, context)
    with unmodified(subset, {"fits": [job.spec for job in jobs]}):
        for job in jobs:
            try:
                with naming_techniques(), seeded(job.spec["seed"], "dropout", device):
                    trainings[job.key] = Training(job.spec, subset, context.registry, device)
            except Exception as error:  # noqa: BLE001 - a technique may raise anything
                failed[job.key] = error
        assert isinstance(subset.images, torch.Tensor), "features are in memory"
        failed |= HeadStack(trainings, subset.images, device).run()
    for job in jobs:
        if job.key not in failed:
            training = trainings[job.key]
            seconds = (time.perf_counter() - began) / len(jobs)
            training.watch.set(seconds)
            cost = _cost(training, device, {}) | {"job_seconds": seconds}
            _store(job, training, subset, cost, provenance(job.spec, context.registry), context, None)
    return failed


def _fit_networks(jobs: Sequence[Job], context: Context, device: torch.device) -> dict[str, Exception]:
    """Train fits with networks of one kind. Those that need passes of their own train by themselves."""
    began = time.perf_counter()
    failed: dict[str, Exception] = {}
    stacks: dict[Hashable, dict[str, _Begun]] = {}
    with ExitStack() as unchanged:
        for job in jobs:
            try:
                with naming_techniques(), seeded(job.spec["seed"], "dropout", device):
                    one = _Begun(job, context, device, unchanged)
            except Exception as error:  # noqa: BLE001 - a technique may raise anything
                failed[job.key] = error
                continue
            key = stack_key(one.training)
            stacks.setdefault(job.key if key is None else key, {})[job.key] = one
        for group in stacks.values():
            failed |= _run_stack(group, device)
    done = [one for group in stacks.values() for key, one in group.items() if key not in failed]
    for one in done:
        one.store((time.perf_counter() - began) / len(done), device)
    return failed


def _run_stack(group: Mapping[str, _Begun], device: torch.device) -> dict[str, Exception]:
    """Train fits of one stack to their end; return the errors of those that fail."""
    failed: dict[str, Exception] = {}
    if len(group) > 1:
        with running(*(one.training.watch for one in group.values())):
            stack = NetworkStack(
                {key: one.training for key, one in group.items()},
                {key: one.random for key, one in group.items()},
                {key: one.snapshots for key, one in group.items()},
            )
            failed = stack.run()
        for key, one in group.items():
            one.random = stack.random[key]
    else:
        (one,) = group.values()
        with one.randomness():
            try:
                with naming_techniques():
                    one.training.run(one.snapshots)
            except Exception as error:  # noqa: BLE001 - a technique may raise anything
                failed[one.job.key] = error
            one.random = random_state(device)
    return failed


class _Begun:
    """A fit whose training has begun, or goes on from a state of the store."""

    def __init__(self, job: Job, context: Context, device: torch.device, unchanged: ExitStack) -> None:
        """unchanged: a block at whose end the subset has to be as it was."""
        self.job, self._context = job, context
        self.subset = training_subset(job.spec, context)
        unchanged.enter_context(unmodified(self.subset, job.spec))
        self.plugins = provenance(job.spec, context.registry)
        teacher = None
        if "teacher" in job.spec:
            teacher = trained_network(identity(job.spec["teacher"]), context, self.subset.info, device)
        self.training = Training(job.spec, self.subset, context.registry, device, teacher)
        self.resumed = resume(self.training, job, context.store, partial(provenance, registry=context.registry))
        self.earlier = self.training.watch.seconds - self.training.watch.inherited
        """Seconds of this job in earlier processes."""
        self.snapshots = Snapshots(job, context.store, self.plugins, context.snapshot_seconds, watched=context.watched)
        self.random = random_state(device)
        """The state of the generator with which the training goes on."""

    @contextmanager
    def randomness(self) -> Iterator[None]:
        """Have this state in the block."""
        device = self.training.device
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            set_random_state(self.random, device)
            yield

    def store(self, seconds: float, device: torch.device) -> None:
        """Store what later jobs need of it. seconds: what the job took in this process."""
        # The state first: once the fit is stored, the job is done and would not run again for its state.
        if self.job.keep_state:
            with self.randomness():
                store_state(self.training, end_state(self.job.key), self.job.spec, self.plugins, self._context.store)
        teacher = _teacher_cost(self.job.spec, self._context.store)
        cost = _cost(self.training, device, teacher) | {"job_seconds": self.earlier + seconds}
        _store(self.job, self.training, self.subset, cost, self.plugins, self._context, self.resumed)
        for snapshot in filter(self._context.store.has, snapshots(self.job.key)):
            self._context.store.discard(snapshot)


def kernels(spec: Spec) -> str:
    """Return which kernels of a GPU the recipe of a fit asks for."""
    return str(spec["recipe"].get("kernels", "deterministic"))


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
        "train_seconds": training.watch.seconds + teacher.get("train_seconds", 0.0),
        "samples": training.samples + teacher.get("samples", 0),
        "samples_per_second": training.samples / training.watch.seconds,
        "peak_memory_bytes": peak_memory(device),
        "parameters": training.parameters,
        "macs": training.macs,
    }
