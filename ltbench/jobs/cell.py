"""Derives the record of a cell from stored logits."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from ltbench.core.spec import Job, Spec, passes_through, splits_of
from ltbench.core.tracebacks import traceback_text
from ltbench.errors import DataError, JobFailed
from ltbench.jobs.described import described
from ltbench.jobs.evidence import Needed
from ltbench.jobs.held_out import divided_counts
from ltbench.jobs.metrics import MetricResults, by_split, compute_metrics, record_fields
from ltbench.jobs.missing_metrics import installed_metrics, missing_metrics
from ltbench.jobs.probabilities import Labelled, Member, predictions
from ltbench.jobs.renewed_record import with_missing_metrics, without_missing_metrics
from ltbench.records.curves import thinned
from ltbench.records.from_store import valid_record
from ltbench.records.record import Provenance, Record, failure, seal, validate
from ltbench.stages import STAGES, Branches, Dataset, Profile

if TYPE_CHECKING:
    from ltbench.executor import Context, Techniques
    from ltbench.stages import IntArray

LOGITS = "logits.safetensors"
_STAGE_ORDER = list(STAGES)


def derive(job: Job, context: Context) -> None:
    """Derive the record of the cell `job` from the logits of its parents, and store it.

    A cell with a successful record gets the metrics that it lacks; nothing else changes. A metric that fails has no
    numbers and is named in `failed_metrics` of the record. Raises `JobFailed`, naming the technique, if
    another plugin raises or returns values of a wrong shape or range.
    """
    before = valid_record(job.key, context.store)
    if before is None or before["status"] != "ok":
        _make_record(job, context)
    elif missing := missing_metrics(before, installed_metrics(context.registry)):
        context.store.put_record(_renewed_record(job, context, validate(before), missing))


def _make_record(job: Job, context: Context) -> None:
    started = time.perf_counter()
    fits, predicts = _metas(job, context)
    results, counts = _results(job, context, fits)
    first = fits[job.spec["members"][0]]
    record = _common_fields(job) | record_fields(results.by_name)
    record |= {
        "status": "ok",
        "data": first["data"] | {"counts": counts.tolist()},
        "cost": _cost(job, fits, predicts) | {"derive_seconds": time.perf_counter() - started},
        "environment": first.get("environment", {}),
        "plugins": _provenance(job, [*fits.values(), *predicts.values()], results, context.registry),
        "curve": thinned(first.get("curve", {})),
    }
    if results.failed:
        record["failed_metrics"] = msgspec.to_builtins(results.failed)
    context.store.put_record(seal(record))


def _renewed_record(job: Job, context: Context, before: Record, missing: Collection[str]) -> dict[str, Any]:
    fits, _ = _metas(job, context)
    try:
        results, _ = _results(job, context, fits)
    except (JobFailed, DataError) as error:
        # The record stays valid; only the missing metrics cannot be computed.
        why = failure(type=type(error).__name__, message=error.what, log=traceback_text(error))
        return without_missing_metrics(before, missing, why)
    return with_missing_metrics(before, results, missing)


def _metas(job: Job, context: Context) -> tuple[dict[str, Spec], dict[str, Spec]]:
    """Return the metadata of the fits and of the predictions of a cell, by key."""
    # Each fit and prediction is counted once, even if members share it.
    fits = {key: context.store.meta(key) for key in dict.fromkeys(job.spec["members"])}
    return fits, {key: context.store.meta(key) for key in dict.fromkeys(job.parents)}


def _results(job: Job, context: Context, fits: Mapping[str, Spec]) -> tuple[MetricResults, IntArray]:
    """Return the metrics of a cell, and the class counts of its training subset, int64 [C]."""
    counts = _training_counts(job, context, fits)
    predicted = _predict(job, context, fits)
    return split_metrics(context.registry, predicted, counts), counts


def failed_record(job: Job, error: Mapping[str, Any]) -> dict[str, Any]:
    """Return the sealed record of a cell that failed. error: {"type", "message", "job", "log"}."""
    fitting = failure(**{str(name): str(text) for name, text in error.items()})
    return seal(_common_fields(job) | {"status": "failed", "error": msgspec.to_builtins(fitting)})


def _common_fields(job: Job) -> dict[str, Any]:
    return {
        "id": job.key,
        "protocol": job.spec["protocol"],
        "spec": job.spec,
        **{key: job.extra[key] for key in ("setting", "combination", "recipe", "fits", "notes")},
    }


def split_metrics(registry: Techniques, predicted: Mapping[str, Labelled], counts: IntArray) -> MetricResults:
    """Return the metrics of predictions by split, as a record has them. counts: int64 [C] of the training subset."""
    found = {
        split: compute_metrics(registry, probabilities, labels, counts)
        for split, (labels, probabilities) in predicted.items()
    }
    return by_split(found.get("test"), found.get("held_out"))


def _predict(job: Job, context: Context, fits: Mapping[str, Spec]) -> dict[str, Labelled]:
    data = job.extra["fits"][0]["data"]
    keys = Needed.by_cell(job.spec, data, context.registry).keys(job.spec, job.extra["views"])
    members = [
        Member(
            np.asarray(fits[key]["data"]["counts"], dtype=np.int64),
            predicted,
            fit.get(Branches.stage),
            tuple(fits[key]["data"]["classes"]),
        )
        for key, predicted, fit in zip(job.spec["members"], keys, job.extra["fits"], strict=True)
    ]
    return predictions(context.registry, job.spec, members, partial(stored_logits, context), splits_of(job.spec, data))


def stored_logits(context: Context, key: str) -> bytes:
    """Return the safetensors file of a prediction in the store. Raises `JobFailed` if it cannot be read."""
    try:
        return (context.store.checked(key) / LOGITS).read_bytes()
    except OSError as error:
        raise JobFailed("stored logits cannot be read", where=f"artefact {key}", why=str(error)) from error


def _training_counts(job: Job, context: Context, fits: Mapping[str, Spec]) -> IntArray:
    """Return the class counts of the whole training subset, without held-out images, int64 [C]."""
    for spec, key in zip(job.extra["fits"], job.spec["members"], strict=True):
        if spec["bag"] is None:
            return np.asarray(fits[key]["data"]["counts"], dtype=np.int64)
    # Every member was trained on a bag, so no fit has the counts of the subset. Those of a data set whose images belong
    # together are close to these, as whole units are held out.
    data = job.extra["fits"][0]["data"]
    info = described(context.registry.build_as(data["dataset"], Dataset), data["fingerprint"], context.data_root)
    profile = context.registry.build_as(data["profile"], Profile)
    return np.asarray(divided_counts(data, info, profile)[0], dtype=np.int64)


def _cost(job: Job, fits: Mapping[str, Spec], predicts: Mapping[str, Spec]) -> dict[str, Any]:
    """Return the cost of this cell alone: each fit and prediction counts in full, even if other cells share it.

    The cost of a fit is that of its whole trajectory, which includes fits of other members that it passes through. `macs`: of predicting one test image with all members and views.
    A sum is None if a member did not measure it.
    """
    specs = dict(zip(job.spec["members"], job.extra["fits"], strict=True))
    included = {key for key in specs for other in specs if other != key and passes_through(specs[other], specs[key])}
    costs = [meta["cost"] for meta in fits.values()]
    trained = [meta["cost"] for key, meta in fits.items() if key not in included]
    passes = [fits[key]["cost"] for key in job.spec["members"] for _ in job.extra["views"]]
    seconds, samples = _total("train_seconds", trained), _total("samples", trained)
    peaks = [peak for cost in costs if (peak := cost.get("peak_memory_bytes")) is not None]
    return {
        "train_seconds": seconds,
        "predict_seconds": _total("predict_seconds", [meta["cost"] for meta in predicts.values()]),
        "samples": samples,
        "samples_per_second": samples / seconds if samples is not None and seconds else None,
        "peak_memory_bytes": max(peaks, default=None),
        "parameters": _total("parameters", costs),
        "macs": _total("macs", passes),
    }


def _total(name: str, parts: Iterable[Mapping[str, Any]]) -> Any:
    values = [part.get(name) for part in parts]
    return None if None in values else sum(values)


def _provenance(
    job: Job, metas: Iterable[Mapping[str, Any]], results: MetricResults, registry: Techniques
) -> list[dict[str, Any]]:
    """Return the provenance of every technique of the cell: as recorded by the jobs that used it, else as installed."""
    recorded = [plugin for meta in metas for plugin in meta.get("plugins", [])]
    specs = [*job.extra["techniques"], *(job.spec[stage] for stage in ("view", "posthoc", "ensemble"))]
    installed = [*(registry.provenance(registry.build(spec)) for spec in specs if spec), *results.made_by.values()]
    by_place: dict[tuple[int, str], Provenance] = {}
    for plugin in (msgspec.convert(plugin, Provenance) for plugin in (*recorded, *installed)):
        by_place.setdefault((_STAGE_ORDER.index(plugin.stage), plugin.name), plugin)
    return [msgspec.to_builtins(by_place[place]) for place in sorted(by_place)]
