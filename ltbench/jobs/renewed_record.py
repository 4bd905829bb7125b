"""Adds missing metrics to a record from stored logits; its other numbers stay."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from ltbench.columns import HELD_OUT
from ltbench.jobs.metrics import MetricResults, close, numbers_on_record, record_fields
from ltbench.jobs.missing_metrics import OTHER_LOGITS
from ltbench.records.record import Failure, Provenance, Record, plain_values, seal
from ltbench.stages import STAGES

_OTHER = "the stored logits, or the code that merges them, have changed since the record was made"
_STAGE_ORDER = list(STAGES)


def with_missing_metrics(before: Record, results: MetricResults, missing: Collection[str]) -> dict[str, Any]:
    """Return the sealed record with the metrics that it lacked; all other numbers stay bit-identical.

    If a metric fails, its earlier numbers stay, and the record says why it failed. If the logits have changed since the
    record was made, this applies to all metrics.
    """
    recorded = {plugin.name: plugin for plugin in before.plugins if plugin.stage == "metric"}
    numbers = numbers_on_record(before)
    failed = {} if before.failed_metrics is msgspec.UNSET else dict(before.failed_metrics)
    failed = {name: failure for name, failure in failed.items() if name.removeprefix(HELD_OUT) not in missing}
    failed |= {name: why for name, why in results.failed.items() if name.removeprefix(HELD_OUT) in missing}
    if problem := _contradiction(numbers, recorded, results, missing):
        failed |= dict.fromkeys(missing, Failure(type=OTHER_LOGITS, message=problem))
    elif clash := _name_conflict(numbers, recorded, results, missing):
        failed |= clash
    renewed = [name for name in missing if name not in failed]
    keep = _numbers_kept(numbers, recorded, results, renewed)
    fresh = {name: value for metric in renewed for name, value in results.numbers[metric].items()}
    plugins = {(_STAGE_ORDER.index(plugin.stage), plugin.name): plugin for plugin in before.plugins}
    for name in renewed:
        made = msgspec.convert(results.made_by[name], Provenance)
        plugins[_STAGE_ORDER.index(made.stage), name] = made
    record: dict[str, Any] = plain_values(before) | record_fields(keep | fresh)
    record["plugins"] = [msgspec.to_builtins(plugins[place]) for place in sorted(plugins)]
    record.pop("failed_metrics", None)
    if failed:
        record["failed_metrics"] = msgspec.to_builtins(failed)
    return seal(record)


def without_missing_metrics(before: Record, missing: Collection[str], failure: Failure) -> dict[str, Any]:
    """Return the sealed record with the reason why its missing metrics could not be computed."""
    return with_missing_metrics(before, MetricResults({}, dict.fromkeys(missing, failure), {}), missing)


def _contradiction(
    numbers: Mapping[str, object], recorded: Mapping[str, Provenance], results: MetricResults, missing: Collection[str]
) -> str:
    """Return how recomputed metrics contradict the record; empty if they do not.

    Logits that were pruned and recomputed on another machine, or that are merged by other code, give other numbers.
    """
    for metric, computed in results.numbers.items():
        then = recorded.get(metric)
        if metric in missing or then is None or not then.source or then.source != results.made_by[metric]["source"]:
            continue
        for name, value in computed.items():
            if name in numbers and not close(numbers[name], value):
                seen = "" if isinstance(value, list) else f": {name} is {value} now and {numbers[name]} on record"
                return f"{_OTHER}{seen or f': {name} differs'}"
    return ""


def _name_conflict(
    numbers: Mapping[str, object], recorded: Mapping[str, Provenance], results: MetricResults, missing: Collection[str]
) -> dict[str, Failure]:
    """Return the new metrics that return a number on record, which may belong to a metric that failed now."""
    if not any(name in results.failed and name not in missing for name in recorded):
        return {}
    return {
        metric: Failure(
            type="JobFailed", message=f"metric '{metric}' returned '{taken[0]}', which is already on record"
        )
        for metric in missing
        if metric not in recorded and (taken := [name for name in results.numbers.get(metric, ()) if name in numbers])
    }


def _numbers_kept(
    numbers: Mapping[str, object], recorded: Mapping[str, Provenance], results: MetricResults, renewed: Collection[str]
) -> dict[str, object]:
    """Return the numbers of a record without those of the renewed metrics."""
    owners = {name: metric for metric, computed in results.numbers.items() for name in computed}
    # A number that no metric returns is from an earlier revision, unless a failed or missing metric may return it.
    all_asked = recorded.keys() <= results.numbers.keys()
    outdated = all_asked and any(name in recorded for name in renewed)
    return {
        name: value
        for name, value in numbers.items()
        if (owners[name] not in renewed if name in owners else not outdated)
    }
