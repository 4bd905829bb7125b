"""Executes one job in a context."""

from __future__ import annotations

from ltbench.core.spec import Job
from ltbench.executor import Context


def execute(job: Job, context: Context) -> None:
    """Write the artefact of `job`, or the record of a cell, to the store. On an error, nothing incomplete remains."""
    match job.kind:
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
