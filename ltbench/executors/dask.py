"""Workers of a Dask cluster, on this machine or others.

Dask only sends tasks to workers and reports their deaths. It never retries a task: `run_task` runs each task once, and
the runner decides about retries.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import time
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import msgspec
from distributed import Client, Future, KilledWorker
from distributed.deploy.cluster import Cluster

from ltbench.core.spec import Job
from ltbench.errors import ClusterError, SchedulerLost, StoreError, WorkerRefused, raised
from ltbench.executor import Outcome, Terms
from ltbench.executors import dask_cluster, dask_worker
from ltbench.executors.remote import RemoteTasks, Task
from ltbench.executors.worker_process import without_interrupts

if TYPE_CHECKING:
    from ltbench.executor import Context
    from ltbench.executors.dask_options import DaskOptions

_CONNECT_SECONDS = 20.0
_LOOK_SECONDS = 1.0
"""Seconds between requests to the scheduler for its workers."""
_SILENCE_SECONDS = 60.0
"""Seconds that a connected scheduler may leave requests unanswered."""
_PAUSE_SECONDS = 10.0
"""Seconds between two waits for outcomes after which this process was stopped in between."""
_CLOSE_SECONDS = 5.0
_LOST = "was lost: it was killed, ran out of memory, or its machine became unreachable"


class _Running(msgspec.Struct, eq=False, kw_only=True):
    task: Task
    future: Future[dask_worker.Answer]


class Dask:
    """Runs tasks on the workers of a Dask cluster, one task at a time on each."""

    def __init__(self, context: Context, options: DaskOptions, terms: Terms) -> None:
        """Prepare the executor. Connections and workers are made later."""
        self.context, self.options = context, options
        self._remote = RemoteTasks(context, terms)
        self._workers = terms.workers
        self._resources = dask_cluster.resources(options)
        self._cluster: Cluster | None = None
        self._client: Client | None = None
        self._running: dict[str, _Running] = {}
        self._answers: queue.SimpleQueue[tuple[_Running, dask_worker.Answer | BaseException]] = queue.SimpleQueue()
        self._usable = 0
        """Workers that can take a job now."""
        self._last_usable = self._last_answer = 0.0
        """When a worker was last usable, and when the scheduler last answered."""
        self._last_wait = time.monotonic()

    @property
    def slots(self) -> int:
        """The current number of workers that can take a job; at least one, at most the requested number."""
        return max(min(self._usable, self._workers or self._usable), 1)

    # --- the cluster ---------------------------------------------------------------------------------------------

    def _connected(self) -> Client:
        if self._client is None:
            _quiet()
            address, security = self.options.scheduler, None
            if address is None:
                self._cluster = dask_cluster.start(
                    self.options, self._workers, self.context.store.root.resolve() / "logs" / "batch"
                )
                address, security = self._cluster.scheduler_address, getattr(self._cluster, "security", None)
            try:
                with without_interrupts():
                    self._client = Client(
                        address, security=security, timeout=_CONNECT_SECONDS, set_as_default=False, name="ltbench"
                    )  # type: ignore[no-untyped-call]
            except (OSError, ValueError, TimeoutError) as error:
                raise ClusterError(f"the Dask scheduler at {address} does not answer", why=str(error),
                                   fix="start it with: dask scheduler, and workers with: "
                                       "dask worker ADDRESS --nworkers N --nthreads 1") from error  # fmt: skip
            self._last_usable = self._last_answer = time.monotonic()
            _in_loop(self._client, self._look, self._client)
        return self._client

    async def _look(self, client: Client) -> None:
        """Watch the scheduler and its workers, in the client's thread."""
        while client.status in ("running", "connecting"):
            with contextlib.suppress(OSError, TimeoutError):
                assert client.scheduler is not None, "a client that runs has a scheduler"
                state = await asyncio.wait_for(client.scheduler.identity(n_workers=-1), _SILENCE_SECONDS)
                self._last_answer = time.monotonic()
                self._usable = sum(self._is_usable(info) for info in state["workers"].values())
                if self._usable:
                    self._last_usable = self._last_answer
            if self._cluster is not None:
                dask_cluster.keep(self._cluster)
            await asyncio.sleep(_LOOK_SECONDS)

    def _is_usable(self, info: dict[str, Any]) -> bool:
        offered = info.get("resources") or {}
        return info["status"] == "running" and all(
            offered.get(name, 0.0) >= value for name, value in self._resources.items()
        )

    def _lost_scheduler(self, why: str) -> SchedulerLost:
        address = self.options.scheduler or f"of cluster={self.options.kind}"
        return SchedulerLost(f"the Dask scheduler {address} is lost", why=why,
                             fix="restart it if it is gone, and run the same command to continue")  # fmt: skip

    def _client_status(self) -> str:
        return "closed" if self._client is None else str(self._client.status)

    def _check(self) -> None:
        """Raise an error if no more outcomes can arrive."""
        now = time.monotonic()
        if self._client is not None and (
            self._client_status() == "closed" or now - self._last_answer > _SILENCE_SECONDS
        ):
            raise self._lost_scheduler("it no longer answers")
        if not self._usable and now - self._last_usable > self.options.wait:
            asked = ", ".join(f"{name}={value:g}" for name, value in self._resources.items())
            raise ClusterError(
                f"no worker could take a job for {self.options.wait:g} s",
                why=f"a job takes {asked} of a worker's resources" if asked else "none has connected to the scheduler",
                fix="check the workers, or wait longer with dask[wait=SECONDS]; run the same command to continue",
            )

    # --- tasks ---------------------------------------------------------------------------------------------------

    def submit(self, jobs: Sequence[Job]) -> None:
        """Submit a task: jobs that one worker runs in the given order."""
        client = self._connected()
        task = self._remote.pack(jobs)
        try:
            future = client.submit(
                dask_worker.run, task.name, task.message, key=task.name, pure=False, retries=0,
                resources=self._resources or None,
            )  # fmt: skip
        except (RuntimeError, ValueError, OSError) as error:
            # Closing clients raise different errors.
            if client.status == "running":
                raise
            raise self._lost_scheduler(str(error)) from error
        running = self._running[task.name] = _Running(task=task, future=future)
        _in_loop(client, self._follow, running)

    async def _follow(self, running: _Running) -> None:
        try:
            answer: dask_worker.Answer | BaseException = await running.future
        except BaseException as error:  # noqa: BLE001 - it is handled in the thread of the command
            answer = error
        self._answers.put((running, answer))

    def wait(self, timeout: float) -> list[Outcome]:
        """Return the outcomes of finished tasks, waiting up to `timeout` seconds for the first.

        Raises `SchedulerLost`, `WorkerRefused`, and `ClusterError` if there is no worker for too long.
        """
        self._notice_pause()
        outcomes: list[Outcome] = []
        with contextlib.suppress(queue.Empty):
            outcomes += self._outcomes(*self._answers.get(timeout=timeout))
            while True:
                outcomes += self._outcomes(*self._answers.get_nowait())
        if not outcomes and self._running:
            self._check()
            for running in self._running.values():
                self._remote.kill_over_limits(running.task)
        return outcomes

    def _notice_pause(self) -> None:
        """Count no time in which this process was stopped, as by Ctrl-Z: nobody asked, so nobody can have answered."""
        now = time.monotonic()
        if now - self._last_wait > _PAUSE_SECONDS:
            self._last_answer = self._last_usable = now
        self._last_wait = now

    def _outcomes(self, running: _Running, answer: dask_worker.Answer | BaseException) -> list[Outcome]:
        task = running.task
        if self._running.pop(task.name, None) is None:
            return []
        if isinstance(answer, KilledWorker) or answer == {"outcomes": []}:
            return self._remote.after_death(task, _LOST)
        if isinstance(answer, CancelledError | asyncio.CancelledError):
            if getattr(answer, "reason", "") == "scheduler-connection-lost" or self._client_status() != "running":
                raise self._lost_scheduler("the connection broke")
            return self._remote.not_started(task, "was cancelled")
        if isinstance(answer, StoreError):
            return self._remote.after_error(task, answer)
        if isinstance(answer, OSError):
            return self._remote.not_started(task, f"was lost in transit: {answer}")
        if isinstance(answer, BaseException):
            raise WorkerRefused("a worker could not read its task",
                                why=raised(answer),
                                fix="install this version of ltbench[train,dask] on all workers") from answer  # fmt: skip
        if "refused" in answer:
            what, where, why, fix = answer["refused"]
            raise WorkerRefused(what, where=where, why=why, fix=fix)
        if address := answer.get("replace"):
            assert self._client is not None, "answers arrive through a client"
            # Release it before the worker ends, or the scheduler would rerun the task to restore its result.
            running.future.release()  # type: ignore[no-untyped-call]
            _in_loop(self._client, self._replace, self._client, address)
        return list(answer["outcomes"])

    async def _replace(self, client: Client, address: str) -> None:
        """End a worker whose state a technique has changed; its nanny starts a new one."""
        with contextlib.suppress(OSError, TimeoutError):  # it ends itself before it runs another task
            await client.run(dask_worker.leave, workers=[address], wait=False, on_error="ignore")

    # --- the end -------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Stop at once: kill what is running."""
        client = self._client
        if client is not None and client.status == "running" and self._running:
            with contextlib.suppress(OSError, TimeoutError):
                client.sync(self._end, client, callback_timeout=_CLOSE_SECONDS)  # type: ignore[no-untyped-call]
        self._running.clear()
        self._close()

    async def _end(self, client: Client) -> None:
        """Cancel our queued tasks and stop the workers that run ours."""
        await client.cancel([running.future for running in self._running.values()], force=True)  # type: ignore[no-untyped-call]
        await client.run(dask_worker.end, list(self._running), wait=False, on_error="return")

    def _close(self) -> None:
        client, self._client = self._client, None
        cluster, self._cluster = self._cluster, None
        for connection in (client, cluster):
            if connection is not None:
                with contextlib.suppress(OSError, TimeoutError):  # it is closed already
                    connection.close(timeout=_CLOSE_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if error is None:
            self._close()
        else:
            self.stop()


def _in_loop(client: Client, call: Callable[..., Any], *args: object) -> None:
    """Run a coroutine in the client's thread."""
    assert client.loop is not None, "a client that runs has a loop"
    client.loop.add_callback(call, *args)


def _quiet() -> None:
    """Keep Dask's logs of this process off the terminal; relevant problems are raised as errors."""
    for name in list(logging.root.manager.loggerDict):
        if name.split(".")[0] == "distributed":
            logging.getLogger(name).setLevel(logging.CRITICAL)
