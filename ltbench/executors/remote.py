"""Jobs in other processes or on other machines: everything an executor needs besides a way to call a function there.

The command packs each task with `RemoteTasks.pack` and sends its message. A worker calls `run_task` with it and returns
the outcomes. If none arrive, `after_death`, `after_error` or `not_started` return them.

While a worker runs a task, it holds a lease on the task's name in the store, and on the key of the running job. So the
command knows which job killed a worker, and a task that is delivered twice runs once.
"""

from __future__ import annotations

import faulthandler
import os
import pickle
import signal
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import msgspec

from ltbench.core.plugins import PluginOrigin
from ltbench.core.process_state import ProcessState
from ltbench.core.python_state import has_lost_channels, watch_channels
from ltbench.core.spec import Job
from ltbench.core.tracebacks import without_machine
from ltbench.errors import ClusterError, StoreError, WorkerRefused
from ltbench.executor import TASK_LEASE, Context, Outcome, Terms, Work
from ltbench.executors.job_output import Output, last_words, output_path, remove_outputs
from ltbench.executors.limits import check_enforceable, end_process, enforced, exceeded, memory_exceeded, time_exceeded
from ltbench.executors.perform import described, failure, finished, perform, prepared, warm_up_for
from ltbench.executors.version_check import Versions, greet, versions
from ltbench.registry.registry import Registry
from ltbench.registry.source_digest import source_digest
from ltbench.store.leases import Owner
from ltbench.store.store import Store

_left = ""
"""Changes of this process by a technique that cannot be undone; no further task runs here."""
_UNSTARTED = 10
"""How often the jobs of a task may be returned because no worker lived long enough to start it."""
_TIMEOUT_SLACK = 5.0
"""Seconds that a worker may take to end itself after the time limit, with the traceback of where it hung."""


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """Jobs that one worker runs in order."""

    name: str
    """Unique, and the name of the worker's lease."""
    jobs: Sequence[Job]
    message: bytes
    """The message to a worker, for `run_task`."""
    packed_at: float
    """By the clock of `time.monotonic`."""


class RemoteTasks:
    """The command's side: packs tasks, and returns outcomes for tasks whose worker did not answer."""

    def __init__(self, context: Context, terms: Terms) -> None:
        """Raise `UsageError` if the terms have a limit that cannot be enforced on this system."""
        self._context, store = context, context.store
        check_enforceable(terms)
        self._limits = terms
        work = terms.work
        assert isinstance(work, str), "for other processes, work must be given as module:name"
        # Pickled once: workers recognise a command by these bytes, so that they load its plugins only once.
        self._setups = {
            device: pickle.dumps(
                _Setup(
                    store=type(store)(store.root.resolve(), ttl=store.leases.ttl),
                    origin=context.registry.origin,
                    data_root=context.data_root.resolve(),
                    device=device,
                    work=work,
                    watched=context.watched,
                )
            )
            for device in context.devices
        }
        self._unstarted: Counter[str] = Counter()
        self._killed: dict[str, str] = {}
        """Messages for workers that were killed for a limit, by task."""
        self._seen: dict[str, tuple[str, float]] = {}
        """Tasks that take longer than a job may: the job that runs, and since when it is known to."""

    def pack(self, jobs: Sequence[Job], device: str = "") -> Task:
        """Return the jobs as a task to send. device: of the worker; by default the first one."""
        name = f"{TASK_LEASE}{uuid.uuid4().hex}"
        # The inner part is read after the versions were compared, because its format may differ between versions.
        packed = pickle.dumps((self._setups[device or self._context.device], list(jobs), self._limits))
        message = pickle.dumps((name, versions(jobs, self._context.registry), packed))
        return Task(name=name, jobs=jobs, message=message, packed_at=time.monotonic())

    def after_death(self, task: Task, how: str) -> list[Outcome]:
        """Return the outcomes of a task whose worker died: `died` for the job that was running.

        how: what happened to the worker, such as "was killed by SIGSEGV"; an exceeded limit is reported instead.
        Raises `ClusterError` if workers repeatedly die before they start the task.
        """
        store = self._context.store
        worker = store.leases.owner(task.name)
        if worker is None:
            return self.not_started(task, f"was sent to a worker that {how}")
        store.leases.path(task.name).unlink(missing_ok=True)
        left = [job for job in task.jobs if not finished(job, store)]
        running = [job for job in left if self._runs(job, worker)]
        # Without a lease on a job, it died just before the next one.
        guilty = next(iter(running or left), None)
        log = last_words(store, worker.host, worker.pid)
        how = exceeded(log, self._limits) or self._killed.pop(task.name, how)
        outcomes = []
        for job in task.jobs:
            outcome = Outcome(key=job.key, status="skipped" if job in left else "done")
            if job is guilty:
                store.put_log(job.key, f"{log}the worker {how}\n")
                error = failure("WorkerDied", f"the {job.kind}'s worker {how}", job.key, without_machine(log))
                outcome = Outcome(key=job.key, status="died", error=error)
            outcomes.append(outcome)
        return outcomes

    def after_error(self, task: Task, error: Exception) -> list[Outcome]:
        """Return `failed` for every job of a task for which `run_task` raised `error`; re-raise a `WorkerRefused`."""
        if isinstance(error, WorkerRefused):
            raise error
        store_error = error if isinstance(error, StoreError) else None
        registry = self._context.registry
        return [
            Outcome(key=job.key, status="failed", error=described(error, job, registry), store_error=store_error)
            for job in task.jobs
        ]

    def not_started(self, task: Task, why: str) -> list[Outcome]:
        """Return `skipped` for every job of a task that no worker has started, so that the run submits them again.

        Raises `ClusterError` if that happens to the same job too often.
        """
        first = task.jobs[0].key
        self._unstarted[first] += 1
        if self._unstarted[first] > _UNSTARTED:
            raise ClusterError(
                "workers die before they finish any job",
                why=f"a task was not started {self._unstarted[first]} times; the last time it {why}",
                fix="use fewer workers or more memory for each, or --executor inline to see what happens",
            )
        return [Outcome(key=job.key, status="skipped") for job in task.jobs]

    def kill_over_limits(self, task: Task) -> None:
        """Kill the worker of a task if it is on this machine and exceeds a limit.

        Workers also monitor themselves, but not their memory while code holds Python's global lock, and nothing while they
        are stopped.
        """
        limits, now = self._limits, time.monotonic()
        late = limits.timeout is not None and now - task.packed_at > limits.timeout
        worker = self._context.store.leases.owner(task.name) if limits.memory or late else None
        if worker is None or not worker.is_here() or worker.is_dead():
            return
        excess = memory_exceeded(worker.pid, limits)
        if not excess and late:
            job = next((job.key for job in task.jobs if self._runs(job, worker)), "")
            if self._seen.get(task.name, ("", 0.0))[0] != job:
                self._seen[task.name] = job, now
            elif job and time_exceeded(now - self._seen[task.name][1] - _TIMEOUT_SLACK, limits):
                excess = time_exceeded(now - self._seen[task.name][1], limits)
        if excess:
            self._killed[task.name] = excess
            os.kill(worker.pid, signal.SIGKILL)

    def _runs(self, job: Job, worker: Owner) -> bool:
        owner = self._context.store.leases.owner(job.key)
        return owner is not None and owner.is_same_process(worker)

    def is_orphan(self, task: Task) -> bool:
        """Whether the worker that started the task is known to be dead. This is only known on this machine."""
        worker = self._context.store.leases.owner(task.name)
        return worker is not None and worker.is_dead()

    def close(self) -> None:
        """Remove what killed workers of this machine left in the store."""
        remove_outputs(self._context.store)


def run_task(message: bytes, where: str = "") -> list[Outcome]:
    """Run a task in this process and return its outcomes; an empty list if another worker has started the same task.

    where: this worker, for error messages. Raises `WorkerRefused` if ltbench or a plugin has another version here, and
    any error from loading the plugins.
    """
    global _left  # noqa: PLW0603 - a process runs one task at a time
    if _left:
        os._exit(1)  # before the task is started, so that it is submitted again
    name, command_versions, packed = pickle.loads(message)  # noqa: S301 - from the command that this worker serves
    where = where or f"worker process {os.getpid()}"
    greet(command_versions, None, where=where)
    setup, jobs, limits = pickle.loads(packed)  # noqa: S301 - as above
    store = _opened(setup).store
    watch_channels()
    # An existing lease is never taken over, even if it is old, because its task has been started.
    lease = None if store.leases.owner(name) else store.leases.acquire(name)
    if lease is None:
        return []
    with lease, Output(output_path(store, os.getpid())) as output:
        context, work = _checked_setup(setup, command_versions, where)
        warm_up_for(jobs, context, work)
        with enforced(limits) as begin:
            outcomes = []
            output.clear()
            steps = perform(jobs, context, work)
            begin()
            for outcome in steps:
                if outcome.left and has_lost_channels():
                    # No outcome can be sent any more. The leases say that the task has been started, and which job is to blame:
                    # one that failed before it would be taken for it.
                    store.leases.acquire(outcome.key)
                    end_process(f"had to end: {outcome.error['message'] if outcome.error else outcome.left}")
                outcomes.append(outcome)
                _left = _left or outcome.left
                log = output.text() + (outcome.error["log"] if outcome.error else "")
                if log:
                    store.put_log(outcome.key, log)
                output.clear()
                begin()
            return outcomes


class _Setup(msgspec.Struct, frozen=True, kw_only=True):
    """The values from which a worker creates its context."""

    store: Store
    origin: PluginOrigin
    data_root: Path
    device: str
    work: str
    watched: bool


@lru_cache(maxsize=2)
def _opened(packed: bytes) -> _Setup:
    faulthandler.enable(file=2)
    setup: _Setup = pickle.loads(packed)  # noqa: S301 - as above
    return setup


@lru_cache(maxsize=2)
def _loaded(packed: bytes) -> tuple[Context, Work]:
    """Load the plugins of a command's setup; cached."""
    setup = _opened(packed)
    registry = Registry.load(setup.origin)
    for entry in registry.entries.values():
        source_digest(entry.technique)  # now, before the file can change
    ProcessState(of_job=True)  # the first call imports, which should not count as time of a job
    context = Context(
        store=setup.store, registry=registry, data_root=setup.data_root, devices=(setup.device,), watched=setup.watched
    )
    return context, prepared(setup.work)


def _checked_setup(setup: bytes, command_versions: Versions, where: str) -> tuple[Context, Work]:
    """Return the loaded context and work function after comparing the versions of plugins."""
    context, work = _loaded(setup)
    try:
        greet(command_versions, context.registry, where=where)
    except WorkerRefused:
        # A plugin file may have been edited since it was loaded here for another command.
        _loaded.cache_clear()
        context, work = _loaded(setup)
        greet(command_versions, context.registry, where=where)
    return context, work
