"""Resuming a training from the end of another fit or from a snapshot."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ltbench.core.spec import Job, Spec, identity, passes_through
from ltbench.engine.tensor_files import read_tensors, write_tensors
from ltbench.engine.training import Training
from ltbench.errors import JobFailed, StoreError
from ltbench.store.format import write_json
from ltbench.store.live_curves import LiveCurve
from ltbench.store.training_states import end_state, snapshots

if TYPE_CHECKING:
    from ltbench.store.store import Store

Plugins = list[dict[str, Any]]
_FILE = "state.safetensors"


def resume(training: Training, job: Job, store: Store, provenance: Callable[[Spec], Plugins]) -> str | None:
    """Restore the most advanced state from which the job can continue; return its key, or None if there is none.

    provenance: returns the installed plugins of a spec. Without a usable state, the training starts from an earlier
    state or from the first step. States of other plugin versions are skipped, because the result could not be
    attributed to one version.
    """
    steps: dict[str, int] = {}
    for key in filter(store.has, (*snapshots(job.key), *map(end_state, job.parents))):
        with contextlib.suppress(StoreError):
            meta = store.meta(key)
            if key not in snapshots(job.key):
                _check_shared_start(key, meta["spec"], job)
            if meta["plugins"] == provenance(meta["spec"]):
                steps[key] = meta["steps"]
    for key in sorted(steps, key=lambda key: -steps[key]):
        with contextlib.suppress(StoreError):
            training.restore(*read_tensors(store.checked(key) / _FILE))
            if key not in snapshots(job.key):
                training.watch.inherited = training.watch.seconds
            return key
    return None


def store_state(training: Training, key: str, spec: Spec, plugins: Plugins, store: Store) -> None:
    """Store the state of a training under a key of `ltbench.store.training_states`. plugins: provenance of its spec."""
    if store.has(key):
        store.discard(key)
    with store.writing(key) as folder:
        write_tensors(folder / _FILE, *training.state())
        write_json(folder / "meta.json", {"spec": spec, "steps": training.steps, "plugins": plugins})


class Snapshots:
    """Stores the state of a training every `every` seconds, alternating between two keys.

    So one complete snapshot always exists, even if the worker is killed while it writes the other. If the training is watched, it also
    writes the learning curve.
    """

    def __init__(self, job: Job, store: Store, plugins: Plugins, every: float, *, watched: bool = False) -> None:
        self._job, self._store, self._plugins, self._every = job, store, plugins, every
        self._turn = 0
        self._last = time.monotonic()
        self._live = LiveCurve(job.key, store) if watched else None

    def __call__(self, training: Training) -> None:
        """Store a snapshot if the last one is old enough."""
        if self._live is not None:
            self._live(training.curve.closed)
        if time.monotonic() - self._last < self._every:
            return
        key = snapshots(self._job.key)[self._turn]
        store_state(training, key, self._job.spec, self._plugins, self._store)
        self._turn = 1 - self._turn
        self._last = time.monotonic()


def _check_shared_start(key: str, parent: Spec, job: Job) -> None:
    """Raise `JobFailed` unless the job's training passes through the final state of its parent."""
    if end_state(identity(parent)) != key or not passes_through(job.spec, parent):
        raise JobFailed(f"fit {job.key} does not begin like fit {identity(parent)}, from which it should continue")
