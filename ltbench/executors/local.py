"""Worker processes on this machine: one per core with one thread each, spawned once and reused.

The pool is pebble's, which survives the death of a worker and knows which task it had. A death costs the job that was
running; the rest of its task goes back to whoever submitted it.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import queue
import signal
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError, Future
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import resource_tracker
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import msgspec
from pebble import ProcessExpired, ProcessPool

from ltbench.cells import Job
from ltbench.errors import LtbenchError
from ltbench.executors import WORK, Outcome, worker
from ltbench.executors.task import described, failure, finished, without_machine

if TYPE_CHECKING:
    from ltbench.work import Context

_REVIVALS = 3
"""How often in a row a pool may break before any of its workers has done a task."""
_ORPHAN_SECONDS = 3.0
"""How long the pool may take to report the death of a worker."""
_POOL_WORKER = "pebble_pool_worker"


class _Task(msgspec.Struct, eq=False):
    jobs: Sequence[Job]
    future: Future[list[Outcome]]
    orphan_since: float | None = None


class Local:
    """Runs tasks in `workers` processes, one per core by default. timeout: seconds that each job of a task may take."""

    def __init__(
        self, context: Context, *, workers: int | None = None, timeout: float | None = None, work: str = WORK
    ) -> None:
        self.context, self.timeout = context, timeout
        self._workers = workers or cores()
        self._setup = worker.Setup(
            store=context.store,
            origin=context.registry.origin,
            data_root=context.data_root,
            device=context.device,
            work=work,
            parent=os.getpid(),
        )
        self._pool: ProcessPool | None = None
        self._tasks: set[_Task] = set()
        self._ended: queue.SimpleQueue[_Task] = queue.SimpleQueue()
        self._deaths = 0
        self._undo = contextlib.ExitStack()

    @property
    def slots(self) -> int:
        """One per worker: the way to a worker takes a millisecond, so nobody has to queue."""
        return self._workers

    def submit(self, jobs: Sequence[Job]) -> None:
        """Take a task: jobs that one worker does in the given order."""
        timeout = self.timeout and self.timeout * len(jobs)
        task = _Task(jobs=jobs, future=Future())
        try:
            task.future = self._running_pool().schedule(worker.run, args=(list(jobs),), timeout=timeout)
        except RuntimeError:  # the pool broke since it was asked for
            task.future.set_exception(BrokenProcessPool())
        self._tasks.add(task)
        task.future.add_done_callback(lambda _: self._ended.put(task))

    def wait(self, timeout: float) -> list[Outcome]:
        """Return the outcomes of the tasks that ended, waiting for the first at most `timeout` seconds."""
        outcomes: list[Outcome] = []
        with contextlib.suppress(queue.Empty):
            outcomes += self._outcomes(self._ended.get(timeout=timeout))
            while True:
                outcomes += self._outcomes(self._ended.get_nowait())
        if not outcomes and self._tasks:
            outcomes += self._lost()
        return outcomes

    def _lost(self) -> list[Outcome]:
        """Return the outcomes of tasks that the pool will never report."""
        outcomes: list[Outcome] = []
        broken = self._pool is None or not self._pool.active
        for task in list(self._tasks):
            if task.future.done():
                continue  # it has just been reported
            if broken:
                outcomes += self._skipped(task)  # the pool had not handed it out yet
            elif self._is_orphan(task):
                # The pool takes a worker that ends with exit code 0 for one that had nothing to do.
                outcomes += self._died(task, None, "ended in the middle of a job")
        return outcomes

    def _is_orphan(self, task: _Task) -> bool:
        leases = self.context.store.leases
        if not any(owner.is_dead() for job in task.jobs if (owner := leases.owner(job.key))):
            task.orphan_since = None
            return False
        task.orphan_since = task.orphan_since or time.monotonic()
        return time.monotonic() - task.orphan_since > _ORPHAN_SECONDS

    def _outcomes(self, task: _Task) -> list[Outcome]:
        if task not in self._tasks:
            return []
        try:
            outcomes: list[Outcome] = task.future.result()
        except ProcessExpired as error:
            return self._died(task, error.pid, _how(error.exitcode))
        except TimeoutError:
            return self._died(task, None, f"took more than {self.timeout:g} s")
        except (BrokenProcessPool, CancelledError):
            return self._skipped(task)
        except Exception as error:  # noqa: BLE001 - the task could not even begin; its jobs carry the error
            self._tasks.discard(task)
            registry = self.context.registry
            return [Outcome(key=j.key, status="failed", error=described(error, j, registry)) for j in task.jobs]
        self._tasks.discard(task)
        self._deaths = 0
        return outcomes

    def _died(self, task: _Task, pid: int | None, how: str) -> list[Outcome]:
        """Return `died` for the job that its worker still holds the lease of, and what the others came to."""
        self._tasks.discard(task)
        store = self.context.store
        left = [job for job in task.jobs if not finished(job, store)]
        owners = {job.key: store.leases.owner(job.key) for job in left}
        held = [
            key for key, owner in owners.items() if owner and (owner.is_dead() if pid is None else owner.pid == pid)
        ]
        guilty = next(iter(held), left[0].key if left else None)
        if pid is None and held and (owner := owners[held[0]]):
            pid = owner.pid
        log = self._last_words(pid)
        outcomes = []
        for job in task.jobs:
            if job not in left:
                outcome = Outcome(key=job.key, status="done")
            elif job.key == guilty:
                store.put_log(job.key, f"{log}the worker {how}\n")
                error = failure("WorkerDied", f"the {job.kind}'s worker {how}", job.key, without_machine(log))
                outcome = Outcome(key=job.key, status="died", error=error)
            else:
                outcome = Outcome(key=job.key, status="skipped")
            outcomes.append(outcome)
        return outcomes

    def _skipped(self, task: _Task) -> list[Outcome]:
        self._tasks.discard(task)
        return [Outcome(key=job.key, status="skipped") for job in task.jobs]

    def _last_words(self, pid: int | None) -> str:
        if pid is None:
            return ""
        path = worker.output_path(self.context.store, pid)
        with contextlib.suppress(OSError):
            text = path.read_bytes()[-worker.LOG_LIMIT :].decode(errors="replace")
            path.unlink()
            return text
        return ""

    def _running_pool(self) -> ProcessPool:
        if self._pool is not None and not self._pool.active:
            self._deaths += 1
            self._end()
            if self._deaths > _REVIVALS:
                raise LtbenchError(
                    "worker processes die before they have done anything",
                    why=f"{self._deaths} pools of {self._workers} workers have ended that way",
                    fix="fewer --workers if memory is short, or --executor inline to see what happens",
                )
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPool(
                max_workers=self._workers, initializer=worker.start, initargs=(self._setup,), context=context
            )
            self._undo.enter_context(_environment(worker.ENVIRONMENT))
            with _without_interrupts():
                assert self._pool.active, "asking starts the workers"
        return self._pool

    def stop(self) -> None:
        """Stop at once: kill what is running."""
        self._tasks.clear()
        self._end(kill=True)

    def _end(self, *, kill: bool = False) -> None:
        pool, self._pool = self._pool, None
        if pool is None:
            return
        pool.stop()  # type: ignore[no-untyped-call]
        if kill:
            for process in multiprocessing.active_children():
                if process.name == _POOL_WORKER:
                    process.kill()
        pool.join()
        self._undo.close()
        worker.remove_outputs(self.context.store)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._end(kill=error is not None)


def cores() -> int:
    """Return the cores that this process may use: those it is bound to, or what its control group allows if less."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        return max(1, min(bound, int(quota) // int(period)))
    except (OSError, ValueError):  # no such group, or "max"
        return bound


def _how(exitcode: int) -> str:
    if exitcode < 0:
        with contextlib.suppress(ValueError):
            name = signal.Signals(-exitcode).name
            hint = " (out of memory?)" if name == "SIGKILL" else ""
            return f"was killed by {name}{hint}"
    return f"ended with exit code {exitcode}"


@contextlib.contextmanager
def _without_interrupts() -> Iterator[None]:
    """Have threads and processes that are started inside never see Ctrl-C, which goes to the whole group.

    The mask is inherited by the pool's threads and by every worker that they start later, from its first instruction.
    """
    # Starting the tracker of semaphores ends with SIGINT unblocked, so that is done first.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
