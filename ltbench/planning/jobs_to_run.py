"""Which jobs of a plan have to run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ltbench.core.spec import Job
from ltbench.store.store import Store


def jobs_to_run(jobs: Mapping[str, Job], cells: Iterable[Job], store: Store) -> dict[str, Job]:
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
