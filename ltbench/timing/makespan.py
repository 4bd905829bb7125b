"""How long a graph of jobs takes on several workers, each of which takes the next job that can run."""

from __future__ import annotations

import heapq
from collections.abc import Mapping

from ltbench.core.spec import Job

_WALKED = 500
"""Jobs up to which the walk is played through: where few are left, the last ones decide who waits for whom."""


def makespan(jobs: Mapping[str, Job], seconds: Mapping[str, float], workers: int) -> float:
    """Return the seconds until the last of `jobs` is done, which come parents first, best first.

    For many jobs it is the bound of list scheduling (Graham, 1969): the larger of all work shared by all workers and
    of the longest chain. What is really needed exceeds it by less than one job of each link of that chain.
    """
    if len(jobs) <= _WALKED:
        return _walk(jobs, seconds, workers)
    ends: dict[str, float] = {}
    for key, job in jobs.items():
        ends[key] = seconds[key] + max((ends[parent] for parent in job.parents if parent in ends), default=0.0)
    return max(sum(seconds[key] for key in jobs) / workers, *ends.values())


def _walk(jobs: Mapping[str, Job], seconds: Mapping[str, float], workers: int) -> float:
    rank = {key: place for place, key in enumerate(jobs)}
    waits = {key: {parent for parent in job.parents if parent in jobs} for key, job in jobs.items()}
    children: dict[str, list[str]] = {}
    for key, parents in waits.items():
        for parent in parents:
            children.setdefault(parent, []).append(key)
    ready = [(rank[key], key) for key, parents in waits.items() if not parents]
    heapq.heapify(ready)
    running: list[tuple[float, int, str]] = []
    now = 0.0
    while ready or running:
        while ready and len(running) < workers:
            place, key = heapq.heappop(ready)
            heapq.heappush(running, (now + seconds[key], place, key))
        now, _, ended = heapq.heappop(running)
        for child in children.get(ended, ()):
            waits[child].discard(ended)
            if not waits[child]:
                heapq.heappush(ready, (rank[child], child))
    return now
