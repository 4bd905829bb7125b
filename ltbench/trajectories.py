"""Fits that begin alike share their beginning: from trainings to a chain of states.

A fit is a trajectory through the states of a training, and its key names the state at its end. Whatever another fit
passes through on the way can be gone on from.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from ltbench.cells import Job, Spec, identity


def chain_fits(fits: Mapping[str, Spec]) -> dict[str, Job]:
    """Return a job for each fit and for each state on the way to it, each going on from the nearest earlier state.

    Fits whose segments begin alike pass through the same states. A segment that does not begin the learning-rate
    curve anew may be cut where another fit leaves it, so that the two share what comes before.
    """
    states: dict[str, Spec] = {}
    for key, spec in fits.items():
        for n in range(1, len(spec["segments"])):
            prefix = spec | {"segments": spec["segments"][:n]}
            states.setdefault(identity(prefix), prefix)
        states.setdefault(key, spec)
    # States inside one segment of one trajectory, by where they are.
    lanes: dict[str, list[tuple[float, str]]] = {}
    for key, spec in states.items():
        *_, last = spec["segments"]
        lane = identity(spec | {"segments": [*spec["segments"][:-1], lane_of(last)]})
        lanes.setdefault(lane, []).append((last["until"], key))
    parent: dict[str, str] = {}
    for stops in map(sorted, lanes.values()):
        for (_, before), (_, after) in itertools.pairwise(stops):
            parent[after] = before
        first = states[stops[0][1]]
        if len(first["segments"]) > 1:
            parent[stops[0][1]] = identity(first | {"segments": first["segments"][:-1]})
    resumed = set(parent.values())
    return {
        key: Job(
            key=key,
            kind="fit",
            spec=spec,
            parents=(parent[key],) if key in parent else (),
            keep_state=key in resumed,
        )
        for key, spec in states.items()
    }


def lane_of(segment: Mapping[str, Any]) -> Spec:
    """Return what two segments have in common where the shorter one is the beginning of the longer one."""
    # A restarted segment has a learning-rate curve over its own span: another end is another curve.
    return dict(segment) if segment["restart"] else {k: v for k, v in segment.items() if k != "until"}


def ancestors(key: str, jobs: Mapping[str, Job]) -> list[Job]:
    """Return the fits that `key` goes on from, the first one first, and the fit itself last."""
    line = [jobs[key]]
    while line[0].parents:
        line.insert(0, jobs[line[0].parents[0]])
    return line
