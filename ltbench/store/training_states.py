"""Names of the states of trainings in a store: what a later fit goes on from, and what a killed one resumes from.

    <key>-state     left at the end of a fit that others go on from
    <key>-snap-0    taken in the middle of a long fit, by turns with
    <key>-snap-1    so that one of them is whole at any moment

Each is an artefact of its own, so that it can go as soon as nobody needs it. Works without torch.
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
    """Return the keys of the states in the middle of a fit."""
    return tuple(fit + suffix for suffix in _SNAPSHOTS)


def fit_of(key: str) -> str | None:
    """Return the fit that a state or snapshot is of; None for any other artefact."""
    return next((key.removesuffix(end) for end in (_STATE, *_SNAPSHOTS) if key.endswith(end)), None)


def remove_states(fit: str, store: Store) -> None:
    """Remove the state at the end of a fit and its snapshots, where they are there."""
    for key in (end_state(fit), *snapshots(fit)):
        if store.has(key):
            store.discard(key)


class Pruning:
    """Removes the states of trainings as soon as no job that is left goes on from them."""

    def __init__(self, jobs: Mapping[str, Job], store: Store, keep: Collection[str] = ()) -> None:
        """jobs: those of a plan. keep: fits whose state stays, because someone else wants it."""
        self._store, self._keep = store, keep
        self._children: dict[str, list[str]] = defaultdict(list)
        self._fits = [job.key for job in jobs.values() if job.kind == "fit"]
        for job in jobs.values():
            if job.kind == "fit":
                for parent in job.parents:
                    self._children[parent].append(job.key)

    def after(self, job: Job, is_left: Callable[[str], bool]) -> None:
        """Remove what only a job needed that is not left any more."""
        if job.kind == "fit":
            for parent in job.parents:
                self._prune(parent, is_left)

    def sweep(self, is_left: Callable[[str], bool]) -> None:
        """Remove every state that no job which is left goes on from, of whatever run it is."""
        for fit in self._fits:
            self._prune(fit, is_left)

    def _prune(self, fit: str, is_left: Callable[[str], bool]) -> None:
        if fit not in self._keep and not is_left(fit) and not any(map(is_left, self._children.get(fit, ()))):
            remove_states(fit, self._store)
