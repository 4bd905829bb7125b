"""Compares a plan with a store: done, stale and missing cells, and the time remaining."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import msgspec

from ltbench.core.spec import Job
from ltbench.executor import Context
from ltbench.jobs.missing_metrics import OTHER_LOGITS, installed_metrics, missing_metrics
from ltbench.planning.jobs_to_run import jobs_to_run
from ltbench.planning.plan import Plan
from ltbench.records.from_store import valid_record
from ltbench.registry.differences import differences
from ltbench.timing.estimate import Forecast, Prediction

KINDS = ("features", "fit", "select", "predict", "cell")


class PlanStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Which jobs of a plan are done, missing, failed or stale in a store, and the cost of the rest."""

    jobs: dict[str, int]
    """Jobs of the plan by kind."""
    missing: dict[str, int]
    """Jobs that have to run, by kind."""
    failed: list[str]
    """Cells that failed before; a run retries them."""
    stale: dict[str, list[str]]
    """Cells whose record was made by another version of a plugin, with the differences."""
    derivable: dict[str, dict[str, str]]
    """Cells whose record lacks metrics that can be derived from stored logits: cell -> metric -> remark."""
    underivable: dict[str, dict[str, str]]
    """The same for cells whose logits were pruned, or differ from those of the record."""
    trainings: int
    """Trainings of the cells. A training consists of several jobs if others branch off from it."""
    trainings_naive: int
    """Trainings without sharing, when every cell trains separately."""
    passes: float
    """Cost of the whole plan in forward passes of an image (see `ltbench.planning.compute_cost`)."""
    passes_naive: float
    """Cost without sharing, in the same unit."""
    forecast: Forecast
    """How long the missing jobs will take."""

    def __add__(self, other: PlanStatus) -> PlanStatus:
        """Return the combined status of two parts of a plan."""
        return PlanStatus(
            jobs={kind: self.jobs[kind] + other.jobs[kind] for kind in KINDS},
            missing={kind: self.missing[kind] + other.missing[kind] for kind in KINDS},
            passes=self.passes + other.passes,
            passes_naive=self.passes_naive + other.passes_naive,
            failed=self.failed + other.failed,
            stale=self.stale | other.stale,
            derivable=self.derivable | other.derivable,
            underivable=self.underivable | other.underivable,
            trainings=self.trainings + other.trainings,
            trainings_naive=self.trainings_naive + other.trainings_naive,
            forecast=self.forecast + other.forecast,
        )

    @property
    def cells_done(self) -> int:
        """Cells with a valid successful record, including those that lack metrics."""
        return self.jobs["cell"] - self.missing["cell"] + len(self.derivable)


def plan_status(
    plan: Plan, context: Context, prediction: Prediction, *, workers: int, retry_failed: bool = True
) -> PlanStatus:
    """Compare a plan with the store. Nothing runs, but records are checked and damaged ones quarantined.

    workers: number of workers to predict for. retry_failed: whether metrics that failed before are computed again.
    """
    store = context.store
    failed: list[str] = []
    stale: dict[str, list[str]] = {}
    derivable: dict[str, dict[str, str]] = {}
    underivable: dict[str, dict[str, str]] = {}
    wanted: list[Job] = []
    metrics = installed_metrics(context.registry)
    current: dict[tuple[str, str], dict[str, Any]] = {}
    for cell in plan.cells:
        record = valid_record(cell.key, store)
        if record is None or record["status"] != "ok":
            wanted.append(cell)
            if record is not None:
                failed.append(cell.key)
            continue
        if missing := missing_metrics(record, metrics, retry_failed=retry_failed):
            failures = record.get("failed_metrics", {}).values()
            changed = any(failure["type"] == OTHER_LOGITS for failure in failures)
            if not changed and all(map(store.has, cell.reads)):
                wanted.append(cell)
                derivable[cell.key] = missing
            else:
                underivable[cell.key] = missing
        # Numbers of a removed metric are kept, and missing metrics were handled above.
        current_metrics = metrics.keys() - missing.keys()
        others = [p for p in record["plugins"] if p["stage"] != "metric" or p["name"] in current_metrics]
        if changes := differences(others, context.registry, current):
            stale[cell.key] = changes
    to_run = {key: job for key, job in jobs_to_run(plan.jobs, wanted, store).items() if key not in plan.repeated}
    return PlanStatus(
        jobs=_by_kind(job for key, job in plan.jobs.items() if key not in plan.repeated),
        missing=_by_kind(to_run.values()),
        passes=plan.passes_shared,
        passes_naive=plan.passes_naive,
        failed=failed,
        stale=stale,
        derivable=derivable,
        underivable=underivable,
        trainings=len(plan.trainings),
        trainings_naive=plan.trainings_naive,
        forecast=prediction.forecast(to_run, workers=workers),
    )


def _by_kind(jobs: Iterable[Job]) -> dict[str, int]:
    counts = Counter(job.kind for job in jobs)
    return {kind: counts[kind] for kind in KINDS}
