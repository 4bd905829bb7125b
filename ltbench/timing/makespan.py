"""Predicts how long a graph of jobs takes on several workers, each taking the next ready job."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from graphlib import TopologicalSorter

from ltbench.core.spec import Job

_SIMULATED = 500
"""Up to this many jobs the schedule is simulated, because with few jobs the last ones dominate."""


def makespan(jobs: Mapping[str, Job], seconds: Mapping[str, float], workers: int) -> float:
    """Return the seconds until the last of `jobs` is done. Jobs are in their order of execution, parents first.

    For many jobs it is the lower bound of list scheduling (Graham, 1969): the larger of the work per worker and of the
    longest chain. The true makespan is at most their sum.
    """
    if len(jobs) <= _SIMULATED:
        return _simulate(jobs, seconds, workers)
    ends: dict[str, float] = {}
    for key, job in jobs.items():
        ends[key] = seconds[key] + max((ends[parent] for parent in job.reads if parent in ends), default=0.0)
    return max(sum(seconds[key] for key in jobs) / workers, *ends.values())


def _simulate(jobs: Mapping[str, Job], seconds: Mapping[str, float], workers: int) -> float:
    rank = {key: place for place, key in enumerate(jobs)}
    graph = TopologicalSorter({key: [p for p in job.reads if p in jobs] for key, job in jobs.items()})
    graph.prepare()
    ready: list[tuple[int, str]] = []
    running: list[tuple[float, int, str]] = []
    now = 0.0
    while graph.is_active():
        for key in graph.get_ready():
            heapq.heappush(ready, (rank[key], key))
        while ready and len(running) < workers:
            place, key = heapq.heappop(ready)
            heapq.heappush(running, (now + seconds[key], place, key))
        now, _, ended = heapq.heappop(running)
        graph.done(ended)
    return now
