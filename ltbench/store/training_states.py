"""Names and removes training states in a store, from which later or interrupted fits resume.

    <key>-state     the end of a fit that others resume from
    <key>-snap-0    two states during a long fit, written in turn,
    <key>-snap-1    so that one is always complete

Each is a separate artefact, so that it can be removed as soon as no job needs it. Works without torch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ltbench.core.spec import Job
    from ltbench.store.store import Store

_STATE = "-state"
_SNAPSHOTS = ("-snap-0", "-snap-1")


def end_state(fit: str) -> str:
    """Return the key of the state at the end of a fit."""
    return fit + _STATE


def snapshots(fit: str) -> tuple[str, ...]:
    """Return the keys of the snapshots of a fit."""
    return tuple(fit + suffix for suffix in _SNAPSHOTS)


def fit_of(key: str) -> str | None:
    """Return the fit that a state or snapshot belongs to; None for any other artefact."""
    return next((key.removesuffix(end) for end in (_STATE, *_SNAPSHOTS) if key.endswith(end)), None)


def remove_states(fit: str, store: Store) -> None:
    """Remove the end state and the snapshots of a fit; other jobs have none."""
    for key in (end_state(fit), *snapshots(fit)):
        if store.has(key):
            store.discard(key)


class Pruning:
    """Removes the states of trainings as soon as no remaining job resumes from them."""

    def __init__(self, jobs: Mapping[str, Job], store: Store, keep: Collection[str] = ()) -> None:
        """jobs: of a plan. keep: fits whose state is kept, because another part of the plan may resume from it."""
        self._store, self._keep = store, keep
        # A fit can be a parent in several chains; its state is removed with the last one.
        self._children: dict[str, list[str]] = defaultdict(list)
        self._fits = [job.key for job in jobs.values() if job.kind == "fit"]
        for job in jobs.values():
            if job.kind == "fit":
                for parent in job.parents:
                    self._children[parent].append(job.key)

    def after(self, job: Job, is_remaining: Callable[[str], bool]) -> None:
        """Remove the states that only this finished job needed."""
        if job.kind == "fit":
            for parent in job.parents:
                self._prune(parent, is_remaining)

    def sweep(self, is_remaining: Callable[[str], bool]) -> None:
        """Remove every state from which no remaining job resumes, including those of other runs."""
        for fit in self._fits:
            self._prune(fit, is_remaining)

    def _prune(self, fit: str, is_remaining: Callable[[str], bool]) -> None:
        if fit not in self._keep and not is_remaining(fit) and not any(map(is_remaining, self._children.get(fit, ()))):
            remove_states(fit, self._store)
