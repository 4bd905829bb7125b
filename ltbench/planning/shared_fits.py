"""Fits that begin alike share their beginning: from trainings to a chain of states.

A fit is a trajectory through the states of a training, and its key names the state at its end. Another fit can go on
from any state on the way.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from ltbench.core.spec import Job, Spec, canonical, identity


class Segments:
    """The segments of a training, in order. Two of the same canonical text are equal."""

    def __init__(self, specs: list[Spec]) -> None:
        self.specs = specs
        self._text = canonical(specs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Segments) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)


class State(NamedTuple):
    """A state that trainings pass through: where the last of these segments ends."""

    segments: Segments
    parent: int | None
    """Index of the state that this one goes on from, among all states of the trainings; None for a fresh network."""
    resumed: bool
    """Whether another state goes on from this one."""


class Fit(NamedTuple):
    """A fit and its key."""

    key: str
    spec: Spec


class FitFamily:
    """Fits that differ in nothing but their segments, so that one may go on from a state of another."""

    def __init__(self, rest: Spec) -> None:
        """rest: all of a fit but its segments."""
        self._rest = rest
        self._fits: dict[Segments, Fit] = {}
        self._foreseen: set[Segments] = set()

    def fit(self, segments: Segments, foreseen: Iterable[Segments] = ()) -> Fit:
        """Return the fit with these segments, which belongs to the family from now on. foreseen: see `foresee`."""
        fit = self._fits.get(segments)
        if fit is None:
            self._foreseen.update(foreseen)
            spec = self._rest | {"segments": segments.specs}
            fit = self._fits[segments] = Fit(identity(spec), spec)
        return fit

    def foresee(self) -> list[str]:
        """Have the foreseen states belong to the family, too, and return their keys."""
        return [self.fit(segments).key for segments in self._foreseen]

    def jobs(self) -> Iterator[Job]:
        """Yield a job for each fit and for each state on the way to it, parents first."""
        states = chained(frozenset(self._fits))
        fits = [self.fit(state.segments) for state in states]
        for (key, spec), state in zip(fits, states, strict=True):
            parents = () if state.parent is None else (fits[state.parent].key,)
            yield Job(key=key, kind="fit", spec=spec, parents=parents, keep_state=state.resumed)


class SharedFits:
    """The fits of a plan by what they have in common."""

    def __init__(self) -> None:
        self._families: dict[bytes, FitFamily] = {}

    def family(self, rest: Spec) -> FitFamily:
        """Return the fits that have all but their segments in common. rest: what they have in common."""
        text = canonical(rest)
        family = self._families.get(text)
        if family is None:
            family = self._families[text] = FitFamily(rest)
        return family

    def foresee(self) -> set[str]:
        """Add the states on the way of the fits that a later part of a plan may go on from, and return their keys."""
        return {key for family in self._families.values() for key in family.foresee()}

    def chain(self) -> dict[str, Job]:
        """Return, by key, a job for each fit and for each state on the way to it, going on from the nearest earlier state."""
        return {job.key: job for family in self._families.values() for job in family.jobs()}


def chain_fits(fits: Iterable[Spec]) -> dict[str, Job]:
    """Return what `SharedFits.chain` does for fits that have a complete spec."""
    shared = SharedFits()
    for fit in fits:
        rest = {key: value for key, value in fit.items() if key != "segments"}
        shared.family(rest).fit(Segments(fit["segments"]))
    return shared.chain()


# Families of one part of a plan differ in seed or data, seldom in the trainings that they have.
@functools.lru_cache(maxsize=64)
def chained(trainings: frozenset[Segments]) -> list[State]:
    """Return all states that trainings of one family pass through, parents first.

    A segment that does not begin the learning-rate curve anew may be cut where another training leaves it, so that the
    two share what comes before.
    """
    passed = {Segments(t.specs[:n]) for t in trainings for n in range(1, len(t.specs) + 1)}
    order = sorted(passed, key=lambda state: (len(state.specs), state.specs[-1]["until"]))
    number = {state: index for index, state in enumerate(order)}
    parents: dict[Segments, int] = {state: number[Segments(state.specs[:-1])] for state in order if state.specs[1:]}
    # States inside one segment of one trajectory follow each other, the earliest one first.
    spans: dict[tuple[bytes, bytes], list[Segments]] = {}
    for state in order:
        span = canonical(state.specs[:-1]), canonical(resumable(state.specs[-1]))
        spans.setdefault(span, []).append(state)
    for stops in spans.values():
        parents |= {later: number[earlier] for earlier, later in itertools.pairwise(stops)}
    resumed = set(parents.values())
    return [State(state, parents.get(state), index in resumed) for index, state in enumerate(order)]


def resumable(segment: Mapping[str, Any]) -> Spec:
    """Return what two segments have in common where the shorter one is the beginning of the longer one."""
    # A restarted segment has a learning-rate curve over its own span: another end is another curve.
    return dict(segment) if segment["restart"] else {k: v for k, v in segment.items() if k != "until"}


def ancestors(key: str, jobs: Mapping[str, Job]) -> list[Job]:
    """Return the fits that `key` goes on from, the first one first, and the fit itself last."""
    line = [jobs[key]]
    while line[0].parents:
        line.insert(0, jobs[line[0].parents[0]])
    return line
