"""Going on with a training: from the end of another fit, or from where a killed worker had got to."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ltbench.core.spec import Job, Spec, identity
from ltbench.engine.tensor_files import read_tensors, write_json, write_tensors
from ltbench.engine.training import Training
from ltbench.errors import JobFailed, StoreError
from ltbench.store.training_states import end_state, snapshots

if TYPE_CHECKING:
    from ltbench.store.store import Store

Plugins = list[dict[str, Any]]
_FILE = "state.safetensors"


def resume(training: Training, job: Job, store: Store, made_by: Callable[[Spec], Plugins]) -> str | None:
    """Restore the furthest state that the job can go on from; return its key, or None where there is none.

    made_by: who makes the techniques of a fit now. A state only saves time: where it is gone or damaged, the training
    starts from an earlier one or from nothing. One that other versions of the plugins left is passed over: half a
    training of each would be neither.
    """
    steps: dict[str, int] = {}
    for key in filter(store.has, (*snapshots(job.key), *map(end_state, job.parents))):
        with contextlib.suppress(StoreError):
            meta = store.meta(key)
            if key not in snapshots(job.key):
                _check_beginning(key, meta["spec"], job)
            if meta["plugins"] == made_by(meta["spec"]):
                steps[key] = meta["steps"]
    for key in sorted(steps, key=lambda key: -steps[key]):
        with contextlib.suppress(StoreError):
            training.restore(*read_tensors(store.checked(key) / _FILE))
            return key
    return None


def keep(training: Training, key: str, spec: Spec, plugins: Plugins, store: Store) -> None:
    """Store the state of a training under a key of `ltbench.store.training_states`. plugins: who made its techniques."""
    if store.has(key):
        store.discard(key)
    with store.writing(key) as folder:
        write_tensors(folder / _FILE, *training.state())
        write_json(folder / "meta.json", {"spec": spec, "steps": training.steps, "plugins": plugins})


class Snapshots:
    """Keeps the state of a training every so many seconds, by turns in two places."""

    def __init__(self, job: Job, store: Store, plugins: Plugins, every: float) -> None:
        self._job, self._store, self._plugins, self._every = job, store, plugins, every
        self._turn = 0
        self._last = time.monotonic()

    def __call__(self, training: Training) -> None:
        """Take a snapshot if it is time for one."""
        if time.monotonic() - self._last < self._every:
            return
        key = snapshots(self._job.key)[self._turn]
        keep(training, key, self._job.spec, self._plugins, self._store)
        self._turn = 1 - self._turn
        self._last = time.monotonic()


def _check_beginning(key: str, parent: Spec, job: Job) -> None:
    """Raise `JobFailed` unless the job's training passes through the state that the parent ends with."""
    last = parent["segments"][-1]
    begun = job.spec["segments"][: len(parent["segments"])]
    cut = [*begun[:-1], begun[-1] | {"until": last["until"]}]
    # A restarted segment has a learning-rate curve over its own span, so a shorter one is another training.
    whole = begun[-1]["until"] == last["until"] or not last["restart"]
    same = end_state(identity(job.spec | {"segments": cut})) == key
    if not whole or last["until"] > begun[-1]["until"] or not same:
        raise JobFailed(f"fit {job.key} does not begin like fit {identity(parent)}, which it is to go on from")
