"""Shares the common beginnings of fits: turns trainings into chains of states.

A fit is a trajectory through the states of a training, and its key names the last of them. Another fit can resume from
any state on the way.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from ltbench.core.spec import Job, Spec, canonical, identity
from ltbench.planning.feature_jobs import feature_jobs, network_stack_name, stack_name
from ltbench.planning.selection import candidates, selection_jobs, without_selection
from ltbench.planning.trajectory import Segments, resumable


class State(NamedTuple):
    """A state that trainings pass through, at the end of the last of these segments."""

    segments: Segments
    parent: int | None
    """Index of the state to resume from; None for a fresh network."""
    resumed: bool
    """Whether another state resumes from this one."""


class Fit(NamedTuple):
    """A fit and its key."""

    key: str
    spec: Spec


class FitFamily:
    """Fits that differ only in their segments, so that one may resume from a state of another."""

    def __init__(self, rest: Spec) -> None:
        """rest: the spec of a fit without its segments."""
        self._rest = rest
        self._fits: dict[Segments, Fit] = {}
        self._foreseen: set[Segments] = set()

    def fit(self, segments: Segments, foreseen: Iterable[Segments] = ()) -> Fit:
        """Return the fit with these segments, adding it if it is new. foreseen: states for `add_foreseen`."""
        fit = self._fits.get(segments)
        if fit is None:
            self._foreseen.update(foreseen)
            spec = self._rest | {"segments": segments.specs}
            fit = self._fits[segments] = Fit(identity(spec), spec)
        return fit

    def add_foreseen(self) -> list[str]:
        """Add the foreseen states as fits, and return their keys."""
        return [self.fit(segments).key for segments in self._foreseen]

    def jobs(self, chain: Callable[[frozenset[Segments]], Sequence[State]]) -> Iterator[Job]:
        """Yield a job for each fit and each intermediate state, parents first. chain: see `chained`.

        Fits on stored features do not share states: they are cheap, and so the bits of a fit that trains in a stack do not
        depend on whether another one would resume from it.
        """
        if features := feature_jobs(self._rest):
            yield from features
            read = tuple(job.key for job in features)
            for key, spec in self._fits.values():
                yield Job(key=key, kind="fit", spec=spec, parents=read, together=stack_name(spec))
            return
        states = chain(frozenset(self._fits))
        fits = [self.fit(state.segments) for state in states]
        for (key, spec), state in zip(fits, states, strict=True):
            parents = () if state.parent is None else (fits[state.parent].key,)
            yield Job(
                key=key, kind="fit", spec=spec, parents=parents, keep_state=state.resumed,
                together_on_gpu=network_stack_name(spec),
            )  # fmt: skip


class SharedFits:
    """The fits of a plan, by family, and the choices between their states."""

    def __init__(self) -> None:
        self._families: dict[bytes, FitFamily] = {}
        self._selections: dict[str, list[Job]] = {}
        """Key of a selected fit -> predictions of held-out images, and the job that chooses by them."""

    def add(self, spec: Spec) -> None:
        """Add the fits that the states of a training, given by its complete spec, are."""
        rest = {key: value for key, value in spec.items() if key != "segments"}
        self.family(rest).fit(Segments(spec["segments"]))

    def select(self, fit: Fit, selection: Spec) -> Fit:
        """Return the fit with its state selected among those after its epochs. selection: as its spec has it."""
        spec = fit.spec | {"selection": selection}
        key = identity(spec)
        if key not in self._selections:
            self._selections[key] = list(selection_jobs(spec))
            for candidate in candidates(fit.spec):
                self.add(candidate)
        return Fit(key, spec)

    def family(self, rest: Spec) -> FitFamily:
        """Return the family of fits with this spec, ignoring segments."""
        text = canonical(rest)
        family = self._families.get(text)
        if family is None:
            family = self._families[text] = FitFamily(rest)
        return family

    def add_foreseen(self) -> set[str]:
        """Add the states that a later part of the plan may resume from, and return their keys."""
        return {key for family in self._families.values() for key in family.add_foreseen()}

    def chain(self) -> dict[str, Job]:
        """Return, by key, a job for each fit and intermediate state; each resumes from the nearest earlier state.

        Jobs that choose between states, and the predictions that they need, are there as well.
        """
        # Families differ in seed or data but rarely in segments, so chains are reused.
        chain = functools.cache(chained)
        fits = {job.key: job for family in self._families.values() for job in family.jobs(chain)}
        return fits | {job.key: job for jobs in self._selections.values() for job in jobs}


def chain_fits(fits: Iterable[Spec]) -> dict[str, Job]:
    """Return `SharedFits.chain` of fits with a complete spec, and of their teachers."""
    shared = SharedFits()
    pending = list(fits)
    while pending:
        fit = pending.pop()
        if "selection" in fit:
            plain = without_selection(fit)
            shared.select(Fit(identity(plain), plain), fit["selection"])
        else:
            shared.add(fit)
        pending += [fit["teacher"]] if "teacher" in fit else []
    return shared.chain()


def chained(trainings: frozenset[Segments]) -> list[State]:
    """Return all states that the trainings of a family pass through, parents first.

    A segment that does not restart the learning-rate schedule may be cut where another training departs from it, so
    that both share the part before.
    """
    passed = {Segments(t.specs[:n]) for t in trainings for n in range(1, len(t.specs) + 1)}
    order = sorted(passed, key=lambda state: (len(state.specs), state.specs[-1]["until"]))
    number = {state: index for index, state in enumerate(order)}
    parents: dict[Segments, int] = {state: number[Segments(state.specs[:-1])] for state in order if state.specs[1:]}
    # States inside one segment of one trajectory, earliest first: each resumes from the one before it.
    spans: dict[tuple[bytes, bytes], list[Segments]] = {}
    for state in order:
        span = canonical(state.specs[:-1]), canonical(resumable(state.specs[-1]))
        spans.setdefault(span, []).append(state)
    for stops in spans.values():
        parents |= {later: number[earlier] for earlier, later in itertools.pairwise(stops)}
    resumed = set(parents.values())
    return [State(state, parents.get(state), index in resumed) for index, state in enumerate(order)]


def ancestors(key: str, jobs: Mapping[str, Job]) -> list[Job]:
    """Return the chain of fits that `key` resumes from, the first one first, and the fit itself last.

    The features that they train on come before, and the chain of its teacher, if it has one. A selected fit comes after
    the fits that it is selected among, each with its prediction of held-out images.
    """
    if jobs[key].kind == "select":
        found: dict[str, Job] = {}
        for parent in jobs[key].parents:
            kind = jobs[parent].kind
            before = ancestors(parent, jobs) if kind == "fit" else [jobs[each] for each in jobs[parent].parents[1:]]
            found |= {job.key: job for job in [*before, jobs[parent]]}
        return [*found.values(), jobs[key]]
    chain = [jobs[key]]
    features: list[Job] = []
    if "features" in jobs[key].spec:
        features = [jobs[parent] for parent in jobs[key].parents]
    else:
        while chain[0].parents:
            chain.insert(0, jobs[chain[0].parents[0]])
    teacher = chain[0].spec.get("teacher")
    return [*features, *([] if teacher is None else ancestors(identity(teacher), jobs)), *chain]
