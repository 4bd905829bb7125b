"""Turns sharing off, so that every cell trains and predicts separately, to measure what sharing saves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from ltbench.core.spec import Job, Spec, identity
from ltbench.planning.plan import Plan

if TYPE_CHECKING:
    from ltbench.store.store import Store


def without_sharing(plan: Plan) -> Plan:
    """Return the plan with separate jobs for each cell, and each training in one job.

    The spec of a fit names its cell in `alone`, which changes the identity but not the result. Cells keep the identity
    of the shared cell in `extra["shared"]`. A training that a cell needs twice is run twice.
    """
    jobs: dict[str, Job] = {}
    images: dict[str, int] = {}
    passes: dict[str, float] = {}
    for cell in plan.cells:
        members, parents, specs = [], [], []
        predictions = [plan.jobs[parent] for parent in cell.parents]
        for number, fit_key in enumerate(cell.spec["members"]):
            change: Spec = {"alone": f"{cell.key}/{number}"}
            if "teacher" in plan.jobs[fit_key].spec:
                taught = identity(plan.jobs[fit_key].spec["teacher"])
                teacher = _separate(plan.jobs[taught], {"alone": f"{cell.key}/{number}/teacher"})
                images[teacher.key], passes[teacher.key] = plan.images[taught], _passes_undivided(plan, taught)
                jobs[teacher.key] = teacher
                change["teacher"] = teacher.spec
            shared_fit = plan.jobs[fit_key]
            # Features of images are no training: they stay shared.
            read = [parent for parent in shared_fit.parents if plan.jobs[parent].kind == "features"]
            read += [parent for one in predictions for parent in one.parents[1:]]
            jobs |= {parent: plan.jobs[parent] for parent in read}
            passes |= {parent: plan.passes[parent] for parent in read}
            fit = _separate(shared_fit, change, parents=tuple(read))
            images[fit.key] = plan.images[fit_key]
            passes[fit.key] = _passes_undivided(plan, fit_key)
            jobs[fit.key] = fit
            members.append(fit.key)
            specs.append(fit.spec)
            for shared in (job for job in predictions if job.spec["fit"] == fit_key):
                parents_of = (fit.key, *shared.parents[1:])
                predict = _separate(shared, {"fit": fit.key}, parents=parents_of)
                passes[predict.key] = plan.passes[shared.key]
                jobs[predict.key] = predict
                parents.append(predict.key)
        extra = cell.extra | {"fits": specs, "shared": cell.key}
        separate = _separate(cell, {"members": members}, parents=tuple(parents))
        jobs[separate.key] = msgspec.structs.replace(separate, extra=extra)
    # Without sharing, parts have no common jobs.
    return msgspec.structs.replace(
        plan, jobs=jobs, images=images, passes=passes, repeated=frozenset(), foreseen=frozenset()
    )


def _separate(job: Job, change: dict[str, Any], parents: tuple[str, ...] = ()) -> Job:
    spec: Spec = job.spec | change
    return msgspec.structs.replace(job, key=identity(spec), spec=spec, parents=parents, keep_state=False)


def _passes_undivided(plan: Plan, key: str) -> float:
    """Return the passes of a complete training."""
    job = plan.jobs[key]
    return plan.passes[key] + sum(
        _passes_undivided(plan, parent) for parent in job.parents if plan.jobs[parent].kind == "fit"
    )


def compare_with_shared(plan: Plan, store: Store) -> str:
    """Return a sentence on how many cells have the same numbers with and without sharing."""
    known = same = 0
    for cell in plan.cells:
        separate, shared = store.record(cell.key), store.record(cell.extra["shared"])
        if separate is not None and shared is not None and separate["status"] == shared["status"] == "ok":
            known += 1
            same += separate["metrics"] == shared["metrics"] and separate["per_class"] == shared["per_class"]
    return f"{same} of {known} cells that were also trained with sharing have identical numbers"
