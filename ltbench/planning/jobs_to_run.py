"""Selects the jobs of a plan that have to run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ltbench.core.spec import Job
from ltbench.store.store import Store


def jobs_to_run(jobs: Mapping[str, Job], cells: Iterable[Job], store: Store) -> dict[str, Job]:
    """Return the jobs that these cells still need, in the plan's order. Parents of stored artefacts are not needed."""
    wanted: set[str] = set()
    pending = list(cells)
    while pending:
        job = pending.pop()
        # A wanted cell runs even if it has a record; the caller has decided that.
        if job.key in wanted or (job.kind != "cell" and store.has(job.key)):
            continue
        wanted.add(job.key)
        pending.extend(jobs[parent] for parent in job.reads)
    return {key: job for key, job in jobs.items() if key in wanted}
