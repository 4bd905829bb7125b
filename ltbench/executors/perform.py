"""Runs the jobs of a task in this process and yields their outcomes."""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import itertools
import time
import traceback
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

import msgspec

from ltbench.core import atomic_files
from ltbench.core.process_state import Change, ProcessState, forget_calls, written
from ltbench.core.signals import is_request_to_stop
from ltbench.core.spec import Job, label_of, techniques_in
from ltbench.core.tracebacks import traceback_of, traceback_text
from ltbench.errors import JobFailed, LtbenchError, StateChanged, StoreError, class_name, message_of, raised
from ltbench.executor import WORK, Outcome, Work
from ltbench.executors.execute import execute_together
from ltbench.records.record import failure as record_failure
from ltbench.store.training_states import remove_states

if TYPE_CHECKING:
    from ltbench.core.plugins import Entry
    from ltbench.executor import Context, Techniques
    from ltbench.store.store import Store


def resolve(path: str) -> Any:
    """Return the object at `package.module:name`."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def stored(job: Job, store: Store) -> bool:
    """Whether the job's result is in the store: an artefact, or for a cell a successful record."""
    return store.status(job.key) == "ok" if job.kind == "cell" else store.has(job.key)


def finished(job: Job, store: Store) -> bool:
    """Whether a job needs no work, as far as the store shows."""
    return not job.renew and stored(job, store)


def prepared(work: str | Work) -> Work:
    """Return the function that runs a job."""
    return resolve(work) if isinstance(work, str) else work


@functools.cache
def warm_up(device: str) -> None:
    """Import what trainings need, and set what they leave set, so that no technique is blamed for it."""
    one_thread()
    import torch

    from ltbench.engine import fit, predict  # noqa: F401
    from ltbench.engine.determinism import reproducible

    with reproducible(torch.device(device)):
        pass


def warm_up_for(jobs: Sequence[Job], context: Context, work: Work) -> None:
    """Import what the jobs need: before they begin, so that it counts as time of none."""
    if any(job.kind != "cell" for job in jobs) and inspect.unwrap(work) is resolve(WORK):
        warm_up(context.device)


@functools.cache
def one_thread() -> None:
    """Limit torch to one thread, before its first parallel region: numbers must not depend on the core count."""
    import torch

    torch.set_num_threads(1)
    with contextlib.suppress(RuntimeError):  # it can be set only once, and a plugin has set it
        torch.set_num_interop_threads(1)


def perform(jobs: Sequence[Job], context: Context, work: Work) -> Iterator[Outcome]:
    """Run the jobs in order and yield their outcomes.

    A job is skipped if a parent in the task failed. All remaining jobs are skipped if the disk is full or a technique
    has changed the state of the process. Neighbours of one stack run together.
    """
    warm_up_for(jobs, context, work)
    unsuccessful: set[str] = set()
    stopped = False
    for together, neighbours in itertools.groupby(jobs, key=lambda job: job.together):
        group = list(neighbours)
        stacked = bool(together) and len(group) > 1 and not stopped and inspect.unwrap(work) is resolve(WORK)
        outcomes = (
            _perform_together(group, context)
            if stacked
            else (
                Outcome(key=job.key, status="skipped")
                if stopped or unsuccessful.intersection(job.reads)
                else _perform(job, context, work)
                for job in group
            )
        )
        for outcome in outcomes:
            if outcome.status not in ("done", "found"):
                unsuccessful.add(outcome.key)
            full = outcome.store_error is not None and atomic_files.is_disk_full(outcome.store_error)
            stopped = stopped or full or outcome.changed
            yield outcome


def _perform_together(jobs: Sequence[Job], context: Context) -> list[Outcome]:
    """Run the fits of a stack. If anything goes wrong that is not the error of one of them, they have to run apart."""
    started = time.perf_counter()
    store = context.store
    outcomes: dict[str, Outcome] = {}
    left = ""
    with contextlib.ExitStack() as leases:
        mine: list[Job] = []
        for job in jobs:
            lease = store.lease(job.key)
            if lease is None:
                outcomes[job.key] = Outcome(key=job.key, status="busy")
                continue
            leases.enter_context(lease)
            if finished(job, store):
                outcomes[job.key] = Outcome(key=job.key, status="found")
            else:
                mine.append(job)
        state = ProcessState(of_job=True)
        forget_calls()
        failed: dict[str, Exception] = {}
        broken = False
        try:
            failed = execute_together(mine, context)
        except BaseException as error:  # a plugin may raise anything
            if is_request_to_stop(error):
                raise
            broken = True
        changes, still = state.restore()
        broken = (
            broken or bool(changes) or any(isinstance(error, StateChanged | StoreError) for error in failed.values())
        )
        seconds = (time.perf_counter() - started) / max(len(mine), 1)
        for job in mine:
            if broken:
                store.discard(job.key)
                left = left or written(still)
                outcomes[job.key] = Outcome(key=job.key, status="apart", changed=bool(changes), left=written(still))
            elif job.key in failed:
                why = described(failed[job.key], job, context.registry)
                outcomes[job.key] = Outcome(key=job.key, status="failed", error=why, seconds=seconds)
            else:
                outcomes[job.key] = Outcome(key=job.key, status="done", seconds=seconds)
    return [outcomes[job.key] for job in jobs]


def _perform(job: Job, context: Context, work: Work) -> Outcome:
    started = time.perf_counter()
    store = context.store
    guard = _StateGuard(job, context)
    try:
        lease = store.lease(job.key)
        if lease is None:
            return Outcome(key=job.key, status="busy")
        with lease:
            if finished(job, store):
                return Outcome(key=job.key, status="found")
            with guard:
                work(job, context)
            if not stored(job, store):
                raise JobFailed(f"the {job.kind} finished without a result in the store", where=f"job {job.key}")
    except BaseException as error:  # a plugin may raise anything
        if is_request_to_stop(error):
            raise
        return Outcome(
            key=job.key,
            status="failed",
            error=described(error, job, context.registry),
            seconds=time.perf_counter() - started,
            store_error=_of_store(error, context.registry),
            changed=bool(guard.changes) or issubclass(type(error), StateChanged),
            left=guard.left,
        )
    return Outcome(key=job.key, status="done", seconds=time.perf_counter() - started)


class _StateGuard:
    """Restores the state of the process after a job, and fails the job if a technique has changed it.

    Most techniques are watched during their first call, so that they can be named. Later changes are found here.
    """

    def __init__(self, job: Job, context: Context) -> None:
        self.job, self.context = job, context
        self.changes: list[Change] = []
        self.left = ""
        """Changes that could not be undone."""

    def __enter__(self) -> None:
        forget_calls()
        self.before = self.context.store.record(self.job.key) if self.job.renew else None
        self.state = ProcessState(of_job=True)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.changes, left = self.state.restore()
        self.left = written(left)
        if not self.changes:
            return
        # Discard a result from a changed state, but keep an earlier record. A failure is none: the command has noted it, which
        # takes this worker for dead if a technique has closed its connections.
        store = self.context.store
        if self.before is not None:
            store.put_record(self.before)
        elif (store.record(self.job.key) or {}).get("status") != "failed":
            store.discard(self.job.key)
        remove_states(self.job.key, self.context.store)
        if error is None or self._may_come_of_a_change(error):
            names = ", ".join(dict.fromkeys(map(label_of, techniques_in([self.job.spec, self.job.extra]))))
            who = f"one of the techniques of this {self.job.kind} ({names})" if names else f"the {self.job.kind}"
            who += " or of its metrics" * (self.job.kind == "cell")
            raise StateChanged.by(who, written(self.changes), left=self.left) from error

    def _may_come_of_a_change(self, error: BaseException) -> bool:
        """Whether an error is neither what a technique or ltbench says, nor a request to stop."""
        is_said = issubclass(type(error), LtbenchError) or blamed(error, self.context.registry) is not None
        return not is_said and not is_request_to_stop(error)


def _of_store(error: BaseException, registry: Techniques) -> StoreError | None:
    """Return the error if the store raised it, and not a technique."""
    return error if type(error) is StoreError and blamed(error, registry) is None else None


def described(error: BaseException, job: Job, registry: Techniques | None) -> dict[str, Any]:
    """Return an error in the form of a record: type, message, job, and the traceback as log."""
    # Its type, here and below: a technique may raise an exception whose `__class__` raises.
    if issubclass(type(error), LtbenchError):
        message = message_of(error)
    elif entry := blamed(error, registry):
        technique = entry.technique
        message = f"{technique.stage} '{technique.name}' of {entry.distribution} {entry.version} raised {raised(error)}"
    else:
        message = f"the {job.kind} raised {raised(error)}"
    return failure(class_name(error), message, job.key, traceback_text(error))


def failure(kind: str, message: str, job: str, log: str) -> dict[str, Any]:
    """Return an error in the form of a record, of texts of any length and with any characters."""
    made: dict[str, Any] = msgspec.to_builtins(record_failure(type=kind, message=message, job=job, log=log))
    return made


def blamed(error: BaseException, registry: Techniques | None) -> Entry | None:
    """Return the plugin that raised an error, if the innermost frame of ltbench or a plugin is in a plugin."""
    if registry is None:
        return None
    plugins: dict[str, Entry] = {}
    for entry in registry.entries.values():
        plugins.setdefault(entry.technique.__module__, entry)
    for frame in reversed([frame for frame, _ in traceback.walk_tb(traceback_of(error))]):
        module = str(frame.f_globals.get("__name__", ""))
        if module in plugins:
            return plugins[module]
        if module.partition(".")[0] == "ltbench":
            return None
    return None
