"""What is going on in a store: runs that live, runs that died, runs that ended. It only reads."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import msgspec

from ltbench.executor import TASK_LEASE
from ltbench.running import run_record
from ltbench.running.run_record import Run
from ltbench.store.leases import BEATS_PER_TTL, Owner
from ltbench.store.store import DAY, Store

_SLACK = 5.0


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """A job that some process holds the lease of."""

    key: str
    host: str
    pid: int


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """A run, and what can be told of its life from here."""

    run: Run
    state: str
    """As the run says, but `died` where it says `running` and is no more."""
    quiet: float = 0.0
    """Seconds between the writing of the record and the last sign of life, which is how much older `in_flight` is."""


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """What `ltbench status` shows."""

    store: str
    running: tuple[Seen, ...]
    recent: tuple[Seen, ...]
    """Runs that ended or died, the newest first."""
    held: tuple[Held, ...]
    """Jobs that live processes work on and that no run from above has."""


def look(store: Store, last: int = 10, *, wait: Callable[[float], None] = time.sleep) -> Status:
    """Return what is going on in a store. last: runs that are told of; wait: how to let time pass.

    Whether a process of another machine lives is seen by its lease being touched. Clocks of machines may differ by
    hours, so one that seems old, or from the future, is looked at again after a while.
    """
    prefix = run_record.lease_key("")
    keys = sorted(path.stem for path in store.leases.folder.glob("*.lease"))
    alive = _alive(store, keys, wait)
    living = [key.removeprefix(prefix) for key in alive if key.startswith(prefix)]
    seen = [
        Seen(
            run=run,
            state="died" if run.state == "running" and run.id not in living else run.state,
            quiet=_quiet(store, run),
        )
        for run in run_record.read(store.root, last, also=living)
    ]
    theirs = {flight.key for one in seen if one.state == "running" for flight in one.run.in_flight}
    held = [
        Held(key=key, host=owner.host, pid=owner.pid)
        for key, owner in alive.items()
        if key not in theirs and not key.startswith((prefix, TASK_LEASE))
    ]
    return Status(
        store=str(store.root),
        running=tuple(one for one in seen if one.state == "running"),
        recent=tuple(one for one in seen if one.state != "running"),
        held=tuple(held),
    )


def _alive(store: Store, keys: Sequence[str], wait: Callable[[float], None]) -> dict[str, Owner]:
    """Return whose each lease is, of those that live."""
    alive: dict[str, Owner] = {}
    doubtful: dict[str, tuple[Owner, float]] = {}
    for key in keys:
        owner, touched = store.leases.owner(key), store.leases.touched(key)
        if owner is None or touched is None or owner.is_dead():
            continue
        age = time.time() - touched
        if owner.is_here() or -_SLACK <= age <= store.leases.ttl / 2:
            alive[key] = owner
        elif abs(age) < DAY:
            doubtful[key] = owner, touched
    if doubtful:
        wait(store.leases.ttl / BEATS_PER_TTL + _SLACK / 2)
        alive |= {
            key: owner for key, (owner, then) in doubtful.items() if store.leases.touched(key) not in (then, None)
        }
    return alive


def _quiet(store: Store, run: Run) -> float:
    if run.state != "running":
        return 0.0
    touched, written = store.leases.touched(run_record.lease_key(run.id)), run_record.written(store.root, run.id)
    return 0.0 if touched is None or written is None else max(0.0, touched - written)
