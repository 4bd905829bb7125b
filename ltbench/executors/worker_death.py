"""What the death of a worker costs: the job that it was at, and nothing else."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

from ltbench.core.spec import Job
from ltbench.executor import Outcome
from ltbench.executors import worker
from ltbench.executors.perform import failure, finished, without_machine
from ltbench.store.leases import Owner
from ltbench.store.store import Store


def after_death(
    jobs: Sequence[Job],
    store: Store,
    *,
    how: str | Callable[[str], str],
    was_it: Callable[[Owner], bool],
    process: tuple[str, int] | None = None,
) -> list[Outcome]:
    """Return `died` for the job that the dead worker still holds the lease of, and what the others came to.

    how: what happened to it, or a function from its last words to that. was_it: whether the owner of a lease is the dead worker. Where it holds none, it was about to begin the
    first job that is left. process: host and number of the worker, where they are known.
    """
    left = [job for job in jobs if not finished(job, store)]
    owners = {job.key: store.leases.owner(job.key) for job in left}
    held = [(key, owner) for key, owner in owners.items() if owner and was_it(owner)]
    guilty = held[0][0] if held else left[0].key if left else None
    if process is None and held:
        process = held[0][1].host, held[0][1].pid
    log = "" if process is None else last_words(store, *process)
    told = how if isinstance(how, str) else how(log)
    outcomes = []
    for job in jobs:
        if job not in left:
            outcome = Outcome(key=job.key, status="done")
        elif job.key == guilty:
            store.put_log(job.key, f"{log}the worker {told}\n")
            error = failure("WorkerDied", f"the {job.kind}'s worker {told}", job.key, without_machine(log))
            outcome = Outcome(key=job.key, status="died", error=error)
        else:
            outcome = Outcome(key=job.key, status="skipped")
        outcomes.append(outcome)
    return outcomes


def not_begun(jobs: Sequence[Job]) -> list[Outcome]:
    """Return that no job of a task was begun."""
    return [Outcome(key=job.key, status="skipped") for job in jobs]


def last_words(store: Store, host: str, pid: int) -> str:
    """Return the end of what a dead worker printed, and remove it."""
    path = worker.output_path(store, pid, host)
    with contextlib.suppress(OSError):
        text = path.read_bytes()[-worker.LOG_LIMIT :].decode(errors="replace")
        path.unlink()
        return text
    return ""
