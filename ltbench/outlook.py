"""What a plan still costs: what is in the store already, what is stale, how long the rest will take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from ltbench.cells import Job
from ltbench.errors import LtbenchError
from ltbench.plan import Plan
from ltbench.registry import Registry
from ltbench.store import Store
from ltbench.trusted import trusted

KINDS = ("fit", "predict", "cell")


class Outlook(msgspec.Struct, frozen=True, kw_only=True):
    """A plan held against a store."""

    jobs: dict[str, int]
    """Jobs of the plan by kind."""
    missing: dict[str, int]
    """Jobs that have to run, by kind."""
    failed: list[str]
    """Cells that failed before; a run tries them again."""
    stale: dict[str, list[str]]
    """Cells whose record was made by another version of a plugin, with what differs."""
    trainings_naive: int
    """Trainings of a script that trains every cell by itself."""
    passes: float
    """What the plan costs, done or not, in forward passes of an image (see `ltbench.costs`)."""
    passes_naive: float
    """What that script would cost, in the same unit."""
    seconds: float | None
    """Predicted seconds of work of one worker; None where nothing alike was trained before."""

    def __add__(self, other: Outlook) -> Outlook:
        """Return the outlook of two parts of one plan."""
        known = self.seconds is not None and other.seconds is not None
        return Outlook(
            jobs={kind: self.jobs[kind] + other.jobs[kind] for kind in KINDS},
            missing={kind: self.missing[kind] + other.missing[kind] for kind in KINDS},
            passes=self.passes + other.passes,
            passes_naive=self.passes_naive + other.passes_naive,
            failed=self.failed + other.failed,
            stale=self.stale | other.stale,
            trainings_naive=self.trainings_naive + other.trainings_naive,
            seconds=(self.seconds or 0.0) + (other.seconds or 0.0) if known else None,
        )

    @property
    def cells_done(self) -> int:
        """Cells with a record of success that can be trusted."""
        return self.jobs["cell"] - self.missing["cell"]


def outlook(plan: Plan, store: Store, registry: Registry) -> Outlook:
    """Hold a plan against a store. Reads and examines records, runs nothing; a damaged record is set aside."""
    failed: list[str] = []
    stale: dict[str, list[str]] = {}
    speeds: dict[tuple[str, str], list[float]] = {}
    wanted: list[Job] = []
    current: dict[str, dict[str, Any]] = {}
    for cell in plan.cells:
        record = trusted(cell.key, store)
        if record is None or record["status"] != "ok":
            wanted.append(cell)
            if record is not None:
                failed.append(cell.key)
            continue
        if changes := differences(record["plugins"], registry, current):
            stale[cell.key] = changes
        place = (record["setting"]["dataset"], record["setting"]["model"])
        speeds.setdefault(place, []).append(record["cost"]["samples_per_second"])
    missing = needed(plan.jobs, wanted, store)
    return Outlook(
        jobs=_by_kind(job for key, job in plan.jobs.items() if key not in plan.repeated),
        missing=_by_kind(job for key, job in missing.items() if key not in plan.repeated),
        passes=plan.passes_shared,
        passes_naive=plan.passes_naive,
        failed=failed,
        stale=stale,
        trainings_naive=plan.trainings_naive,
        seconds=_predicted(plan, missing, wanted, speeds),
    )


def _by_kind(jobs: Iterable[Job]) -> dict[str, int]:
    counts = Counter(job.kind for job in jobs)
    return {kind: counts[kind] for kind in KINDS}


def needed(jobs: Mapping[str, Job], cells: Iterable[Job], store: Store) -> dict[str, Job]:
    """Return what has to run for these cells, in the plan's order: an artefact that is there needs no parent."""
    wanted: set[str] = set()
    line = list(cells)
    while line:
        job = line.pop()
        if job.key in wanted or (job.kind != "cell" and store.has(job.key)):
            continue
        wanted.add(job.key)
        line.extend(jobs[parent] for parent in job.reads)
    return {key: job for key, job in jobs.items() if key in wanted}


def differences(
    made_by: Iterable[Mapping[str, Any]], registry: Registry, current: dict[str, dict[str, Any]]
) -> list[str]:
    """Return how the plugins that made a record differ from the installed ones, as lines; `current` is a cache."""
    lines = []
    for then in made_by:
        name = then["name"]
        if name not in current:
            try:
                current[name] = registry.provenance(registry.entry(name).technique())
            except LtbenchError:
                current[name] = {}
        now = current[name]
        if not now:
            lines.append(f"{name}: made by {then['distribution']} {then['version']}, which is not installed")
        elif then["version"] != now["version"]:
            lines.append(f"{name}: made by {then['distribution']} {then['version']}, installed is {now['version']}")
        elif then["source"] != now["source"]:
            lines.append(f"{name}: its source has changed since, at the same version {now['version']}")
    return lines


def _predicted(
    plan: Plan, missing: Mapping[str, Job], cells: Iterable[Job], speeds: Mapping[tuple[str, str], list[float]]
) -> float | None:
    places = {
        fit_key: (cell.extra["setting"]["dataset"], cell.extra["setting"]["model"])
        for cell in cells
        for predict in cell.parents
        for fit_key in plan.jobs[predict].parents
    }
    total = 0.0
    for key, job in missing.items():
        if job.kind != "fit" or key not in places:
            continue
        known = speeds.get(places[key])
        if not known:
            return None
        total += samples(job, plan) * len(known) / sum(known)
    return total


def weight(plan: Plan, job: Job) -> float:
    """Return how much work a job is next to others of its kind: for a fit, the images it trains on."""
    return samples(job, plan) if job.kind == "fit" else 1.0


def samples(fit: Job, plan: Plan) -> float:
    """Return about how many images a fit trains on, from its recipe and the class counts it was planned with."""
    recipe = fit.spec["recipe"]
    last = fit.spec["segments"][-1]["until"]
    begun = plan.jobs[fit.parents[0]].spec["segments"][-1]["until"] if fit.parents else 0.0
    if "steps" in recipe:
        whole = recipe["steps"] * recipe.get("batch_size", 128)
    else:
        whole = recipe["epochs"] * plan.images.get(fit.key, 0)
    return float(whole * (last - begun))
