"""Names of the states of trainings in a store: what a later fit goes on from, and what a killed one resumes from.

    <key>-state     left at the end of a fit that others go on from
    <key>-snap-0    taken in the middle of a long fit, by turns with
    <key>-snap-1    so that one of them is whole at any moment

Each is an artefact of its own, so that it can go as soon as nobody needs it. Works without torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ltbench.store import Store

_STATE = "-state"
_SNAPSHOTS = ("-snap-0", "-snap-1")


def end_state(fit: str) -> str:
    """Return the key of the state at the end of a fit."""
    return fit + _STATE


def snapshots(fit: str) -> tuple[str, ...]:
    """Return the keys of the states in the middle of a fit."""
    return tuple(fit + suffix for suffix in _SNAPSHOTS)


def owner(key: str) -> str | None:
    """Return the fit that a state or snapshot is of; None for any other artefact."""
    return next((key.removesuffix(end) for end in (_STATE, *_SNAPSHOTS) if key.endswith(end)), None)


def forget(fit: str, store: Store) -> None:
    """Remove the state at the end of a fit and its snapshots, where they are there."""
    for key in (end_state(fit), *snapshots(fit)):
        if store.has(key):
            store.discard(key)
