"""Jobs in other processes or on other machines: all that an executor needs besides a way to call a function there.

The command packs each task with `RemoteTasks.pack` and sends its message; a worker calls `run_task` with it and sends
the outcomes back. Where none come back, `after_death`, `after_error` or `not_started` say what became of the jobs.

While a worker runs a task, it holds a lease of the task's name in the store, and of each job's key as it runs it. So
the command knows of a dead worker which job killed it, and a task that is delivered twice is run once.
"""

from __future__ import annotations

import faulthandler
import os
import pickle
import signal
import uuid
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import msgspec

from ltbench.core.plugins import PluginOrigin
from ltbench.core.process_state import ProcessState
from ltbench.core.spec import Job
from ltbench.core.tracebacks import without_machine
from ltbench.errors import ClusterError, StoreError, WorkerRefused
from ltbench.executor import TASK_LEASE, Context, Outcome, Terms, Work
from ltbench.executors.job_output import Output, last_words, output_path, remove_outputs
from ltbench.executors.limits import check_enforceable, enforced, exceeded, memory_exceeded
from ltbench.executors.perform import described, failure, finished, perform, prepared
from ltbench.executors.version_check import Versions, greet, versions
from ltbench.registry.registry import Registry
from ltbench.registry.source_digest import source_digest
from ltbench.store.store import Store

_left = ""
"""What a technique has changed in the state of this process that cannot be put back: no further task runs here."""
_UNSTARTED = 10
"""How often the jobs of a task may come back because no worker lived long enough to start it."""


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """A few jobs that one worker does in order."""

    name: str
    """Unique, and the name of the worker's lease."""
    jobs: Sequence[Job]
    message: bytes
    """What is sent to a worker, for `run_task`."""


class RemoteTasks:
    """The command's side: packs tasks, and tells what became of those whose worker gave no answer."""

    def __init__(self, context: Context, terms: Terms) -> None:
        """Raise `UsageError` where the terms have a limit that cannot be enforced on this system."""
        self._context, store = context, context.store
        check_enforceable(terms)
        self._limits = terms
        work = terms.work
        assert isinstance(work, str), "work in another process has to be given as module:name"
        # Pickled once: workers recognise a command by these bytes and load its plugins only once.
        self._setup = pickle.dumps(
            _Setup(
                store=type(store)(store.root.resolve(), ttl=store.leases.ttl),
                origin=context.registry.origin,
                data_root=context.data_root.resolve(),
                device=context.device,
                work=work,
            )
        )
        self._unstarted: Counter[str] = Counter()
        self._killed: dict[str, str] = {}
        """What is wrong with the memory of workers that were killed for it, by task."""

    def pack(self, jobs: Sequence[Job]) -> Task:
        """Return the jobs as a task to send."""
        name = f"{TASK_LEASE}{uuid.uuid4().hex}"
        # The inner part is opened only after the versions have been compared: another version may write it otherwise.
        packed = pickle.dumps((self._setup, list(jobs), self._limits))
        message = pickle.dumps((name, versions(jobs, self._context.registry), packed))
        return Task(name=name, jobs=jobs, message=message)

    def after_death(self, task: Task, how: str) -> list[Outcome]:
        """Return the outcomes of a task whose worker is dead: `died` for the job that it was running.

        how: what happened to the worker, as in "was killed by SIGSEGV"; a limit that it exceeded goes first.
        Raises `ClusterError` where workers die again and again before they have started the task.
        """
        store = self._context.store
        worker = store.leases.owner(task.name)
        if worker is None:
            return self.not_started(task, f"came to a worker that {how}")
        store.leases.path(task.name).unlink(missing_ok=True)
        left = [job for job in task.jobs if not finished(job, store)]
        running = [job for job in left if (owner := store.leases.owner(job.key)) and owner.is_same_process(worker)]
        # Without the lease of a job, it died just before it began the next one.
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
        """Return `failed` for every job of a task that `run_task` raised `error` for; raise a `WorkerRefused` again."""
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

        Raises `ClusterError` where that happens to the same job too often.
        """
        first = task.jobs[0].key
        self._unstarted[first] += 1
        if self._unstarted[first] > _UNSTARTED:
            raise ClusterError(
                "workers die before they have done anything",
                why=f"a task has come back {self._unstarted[first]} times; the last time it {why}",
                fix="fewer workers or more memory for each, or --executor inline to see what happens",
            )
        return [Outcome(key=job.key, status="skipped") for job in task.jobs]

    def kill_over_memory(self, task: Task) -> None:
        """Kill the worker of a task, where it is on this machine and has more memory than a job may have.

        A worker watches itself, too; but code that holds Python's global lock stops that watch.
        """
        worker = self._context.store.leases.owner(task.name) if self._limits.memory else None
        if worker is None or not worker.is_here() or worker.is_dead():
            return
        if excess := memory_exceeded(worker.pid, self._limits):
            self._killed[task.name] = excess
            os.kill(worker.pid, signal.SIGKILL)

    def is_orphan(self, task: Task) -> bool:
        """Whether the worker that started the task is known to be dead; only workers of this machine can be."""
        worker = self._context.store.leases.owner(task.name)
        return worker is not None and worker.is_dead()

    def close(self) -> None:
        """Remove what killed workers of this machine left in the store."""
        remove_outputs(self._context.store)


def run_task(message: bytes, where: str = "") -> list[Outcome]:
    """Run a task in this process and return its outcomes; none where another worker has started the same task.

    where: this worker, for error messages. Raises `WorkerRefused` where ltbench or a plugin has another version here,
    and what loading the plugins raises.
    """
    global _left  # noqa: PLW0603 - a process runs one task at a time
    if _left:
        os._exit(1)  # before the task is started, so that it is handed out again
    name, command_versions, packed = pickle.loads(message)  # noqa: S301 - from the command that this worker serves
    where = where or f"worker process {os.getpid()}"
    greet(command_versions, None, where=where)
    setup, jobs, limits = pickle.loads(packed)  # noqa: S301 - as above
    store = _opened(setup).store
    # An existing lease is never taken over, however old it is: its task has been started.
    lease = None if store.leases.owner(name) else store.leases.acquire(name)
    if lease is None:
        return []
    with lease, Output(output_path(store, os.getpid())) as output:
        context, work = _greeted(setup, command_versions, where)
        with enforced(limits) as begin:
            outcomes = []
            output.clear()
            steps = perform(jobs, context, work)
            begin()
            for outcome in steps:
                outcomes.append(outcome)
                _left = _left or outcome.left
                log = output.text() + (outcome.error["log"] if outcome.error else "")
                if log:
                    store.put_log(outcome.key, log)
                output.clear()
                begin()
            return outcomes


class _Setup(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker makes its context from."""

    store: Store
    origin: PluginOrigin
    data_root: Path
    device: str
    work: str


@lru_cache(maxsize=2)
def _opened(packed: bytes) -> _Setup:
    faulthandler.enable(file=2)
    setup: _Setup = pickle.loads(packed)  # noqa: S301 - as above
    return setup


@lru_cache(maxsize=2)
def _loaded(packed: bytes) -> tuple[Context, Work]:
    """Load the plugins of a command's setup, at the first call."""
    setup = _opened(packed)
    registry = Registry.load(setup.origin)
    for entry in registry.entries.values():
        source_digest(entry.technique)  # now: later the file may not be the one that was loaded
    ProcessState(generators=True)  # the first one imports, which no job should pay for
    context = Context(store=setup.store, registry=registry, data_root=setup.data_root, device=setup.device)
    return context, prepared(setup.work)


def _greeted(setup: bytes, command_versions: Versions, where: str) -> tuple[Context, Work]:
    """Return the loaded context and work after comparing the versions of plugins."""
    context, work = _loaded(setup)
    try:
        greet(command_versions, context.registry, where=where)
    except WorkerRefused:
        # A plugin file may have been edited since another command had it loaded here.
        _loaded.cache_clear()
        context, work = _loaded(setup)
        greet(command_versions, context.registry, where=where)
    return context, work
