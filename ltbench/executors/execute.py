"""Executes one job in a context."""

from __future__ import annotations

from collections.abc import Sequence

from ltbench.core.spec import Job
from ltbench.executor import Context


def execute(job: Job, context: Context) -> None:
    """Write the artefact of `job`, or the record of a cell, to the store. On an error, nothing incomplete remains."""
    match job.kind:
        case "features":
            from ltbench.engine.features import compute_features

            compute_features(job, context)
        case "fit":
            from ltbench.engine.fit import fit

            fit(job, context)
        case "predict":
            from ltbench.engine.predict import predict

            predict(job, context)
        case "select":
            from ltbench.jobs.select import select

            select(job, context)
        case "cell":
            from ltbench.jobs.cell import derive

            derive(job, context)
        case _:
            raise ValueError(f"a job of unknown kind '{job.kind}'")


def execute_together(jobs: Sequence[Job], context: Context) -> dict[str, Exception]:
    """Write the artefacts of fits that train in one stack (`Job.together`); return the errors of those that fail, by key."""
    from ltbench.engine.fit import fit_together

    return fit_together(jobs, context)
