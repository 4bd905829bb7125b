"""Which runs on a store are alive, dead or finished. Only reads."""

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


class HeldJob(msgspec.Struct, frozen=True, kw_only=True):
    """A job whose lease is held by a process."""

    key: str
    host: str
    pid: int


class ObservedRun(Run, frozen=True, kw_only=True):
    """A run as seen from here: its state is `died` if the record says `running` but its process is gone."""

    quiet: float = 0.0
    """Seconds from the last update of the record to the last sign of life, to be added to `in_flight`."""


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """What `ltbench status` shows."""

    store: str
    running: tuple[ObservedRun, ...]
    recent: tuple[ObservedRun, ...]
    """Runs that finished or died, newest first."""
    held: tuple[HeldJob, ...]
    """Jobs that other living processes run outside the runs above."""


def store_status(store: Store, last: int = 10, *, wait: Callable[[float], None] = time.sleep) -> Status:
    """Return the status of a store. last: number of recent runs; wait: function that sleeps for a number of seconds.

    A process on another machine is alive if it touches its lease. Clocks of machines may differ by hours, so a lease
    that seems old or is dated in the future is read again after a while.
    """
    prefix = run_record.lease_key("")
    keys = sorted(path.stem for path in store.leases.folder.glob("*.lease"))
    alive = _alive(store, keys, wait)
    living = [key.removeprefix(prefix) for key in alive if key.startswith(prefix)]
    runs = []
    for run in run_record.read(store.root, last, also=living):
        observed: dict[str, object] = {"quiet": _quiet(store, run)}
        if run.state == "running" and run.id not in living:
            observed["state"] = "died"
        runs.append(ObservedRun(**(msgspec.structs.asdict(run) | observed)))
    in_runs = {job.key for run in runs if run.state == "running" for job in run.in_flight}
    held = [
        HeldJob(key=key, host=owner.host, pid=owner.pid)
        for key, owner in alive.items()
        if key not in in_runs and not key.startswith((prefix, TASK_LEASE))
    ]
    return Status(
        store=str(store.root),
        running=tuple(run for run in runs if run.state == "running"),
        recent=tuple(run for run in runs if run.state != "running"),
        held=tuple(held),
    )


def _alive(store: Store, keys: Sequence[str], wait: Callable[[float], None]) -> dict[str, Owner]:
    """Return the owners of the leases that are alive."""
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
    # After one heartbeat, a living process has touched its lease, whatever the clocks say.
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
