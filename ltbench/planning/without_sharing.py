"""A plan with sharing off: every cell trains and predicts for itself, as a script would. For measuring what sharing saves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from ltbench.core.spec import Job, Spec, identity
from ltbench.planning.plan import Plan

if TYPE_CHECKING:
    from ltbench.store.store import Store


def without_sharing(plan: Plan) -> Plan:
    """Return the plan with jobs of its own for each cell, each training undivided.

    What a job makes is the same; its spec has `alone`, the cell that it is made for, and so an identity of its own.
    Cells keep the identity of the shared one in `extra["shared"]`. Trainings that one cell needs twice are done twice.
    """
    jobs: dict[str, Job] = {}
    images: dict[str, int] = {}
    passes: dict[str, float] = {}
    for cell in plan.cells:
        views = len(cell.extra["views"])
        members, parents, specs = [], [], []
        for number, fit_key in enumerate(cell.spec["members"]):
            mine = _own(plan.jobs[fit_key], {"alone": f"{cell.key}/{number}"})
            images[mine.key] = plan.images[fit_key]
            passes[mine.key] = _whole(plan, fit_key)
            jobs[mine.key] = mine
            members.append(mine.key)
            specs.append(mine.spec)
            for parent in cell.parents[number * views : (number + 1) * views]:
                seen = _own(plan.jobs[parent], {"fit": mine.key}, parents=(mine.key,))
                passes[seen.key] = plan.passes[parent]
                jobs[seen.key] = seen
                parents.append(seen.key)
        extra = cell.extra | {"fits": specs, "shared": cell.key}
        made = _own(cell, {"members": members}, parents=tuple(parents))
        jobs[made.key] = msgspec.structs.replace(made, extra=extra)
    return msgspec.structs.replace(
        plan, jobs=jobs, images=images, passes=passes, repeated=frozenset(), foreseen=frozenset()
    )


def _own(job: Job, change: dict[str, Any], parents: tuple[str, ...] = ()) -> Job:
    spec: Spec = job.spec | change
    return msgspec.structs.replace(job, key=identity(spec), spec=spec, parents=parents, keep_state=False)


def _whole(plan: Plan, key: str) -> float:
    """Return the passes of a training from its first step on."""
    job = plan.jobs[key]
    return plan.passes[key] + sum(_whole(plan, parent) for parent in job.parents)


def compare_with_shared(plan: Plan, store: Store) -> str:
    """Return, in a sentence, how many of the cells that were trained by themselves have the numbers of the shared ones."""
    known = same = 0
    for cell in plan.cells:
        mine, shared = store.record(cell.key), store.record(cell.extra["shared"])
        if mine is not None and shared is not None and mine["status"] == shared["status"] == "ok":
            known += 1
            same += mine["metrics"] == shared["metrics"] and mine["per_class"] == shared["per_class"]
    return f"{same} of {known} cells that were also trained with sharing have the very same numbers"
