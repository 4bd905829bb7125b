"""The interface of executors, which run jobs: their input and output.

Plugins provide executors through the hook `ltbench_executors`. An executor gets tasks, each a list of jobs that one
worker runs in order. Results go to the store and only outcomes are returned, so running a job twice does no harm.
Executors that run jobs in other processes build on `ltbench.executors.remote`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, ClassVar, Literal, Protocol, Self, TypeVar

import msgspec
from msgspec import Meta

from ltbench.core.devices import CPU, devices_here
from ltbench.core.plugins import Entry, PluginOrigin
from ltbench.core.spec import Job
from ltbench.errors import StoreError
from ltbench.method import Method
from ltbench.store.store import Store
from ltbench.technique import Parametrized, Technique

T = TypeVar("T", bound=Technique)

WORK = "ltbench.executors.execute:execute"
"""The function that a worker calls with a job and its context, as a path so that it can be sent."""

TASK_LEASE = "task-"
"""Prefix of the names of leases on tasks; other leases are on jobs and runs."""


class Techniques(Protocol):
    """The interface of the registry for jobs and plans."""

    @property
    def origin(self) -> PluginOrigin:
        """Where the plugins came from, so that a worker can load the same."""

    @property
    def entries(self) -> Mapping[str, Entry]:
        """Techniques by name, with their plugins."""

    @property
    def suites(self) -> Mapping[str, Path]:
        """Suite files by name."""

    @property
    def methods(self) -> Mapping[str, Method]:
        """Methods by name."""

    def of(self, stage: str) -> Mapping[str, type[Technique]]:
        """Return the techniques of a stage by name, sorted."""

    def entry(self, name: str, distribution: str = "") -> Entry:
        """Return the entry of a name, in this distribution if several have it. Raises `PluginError` if no plugin provides it."""

    def baseline(self, stage: str) -> Technique | None:
        """Return the default technique of a stage; None if the stage then does nothing."""

    def parse(self, text: str, stage: str = "") -> Technique:
        """Return the single technique written in `text`, which must be of `stage` unless that is empty."""

    def parse_all(self, text: str) -> list[Technique]:
        """Return the techniques written in `text`: `a,b[x=1],c[y=1,2]`."""

    def spec(self, technique: Technique) -> dict[str, Any]:
        """Return the part of a technique that enters identity."""

    def build(self, spec: Mapping[str, Any]) -> Technique:
        """Return the technique of a spec. Raises `PluginError` if its plugin is missing or differs."""

    def build_as(self, spec: Mapping[str, Any], kind: type[T]) -> T:
        """Return the technique of a spec, which must be a `kind`."""

    def provenance(self, technique: Technique) -> dict[str, Any]:
        """Return plugin, distribution, version and source of a technique, for records."""


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """The context of a job besides its spec. It has no effect on results."""

    store: Store
    registry: Techniques
    data_root: Path
    devices: tuple[str, ...] = CPU
    """Where jobs compute, by torch's names. A worker has one of them."""
    snapshot_seconds: float = 60.0
    """Seconds between snapshots of a running training."""
    watched: bool = False
    """Whether observers watch, so that trainings write their learning curve while they run."""

    @property
    def device(self) -> str:
        """The device of this process."""
        return self.devices[0]


Work = Callable[[Job, Context], None]
"""Runs one job and writes its result to the store."""


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """Number of workers and limits for jobs. A struct, so that fields can be added without changing executors."""

    workers: int | None = None
    """Number of tasks to run at once; chosen by the executor by default. Overrides an executor option of that name."""
    per_gpu: int = 1
    """Number of tasks to run at once on each GPU, if `workers` does not say how many there are in all."""
    timeout: float | None = None
    """Time limit of a job in seconds; None for no limit."""
    memory: int | None = None
    """Limit of a worker's resident memory in bytes; None for no limit."""
    work: str | Work = WORK
    """The function that runs a job, as `module:name`; for jobs in this process also a callable."""

    def with_workers(self, workers: int | None) -> Self:
        """Return the terms with this number of workers, unless they already have one."""
        return msgspec.structs.replace(self, workers=self.workers or workers)


DEFAULTS = Terms()


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How one job of a task ended."""

    key: str
    status: Literal["done", "found", "busy", "failed", "died", "skipped", "apart"]
    """`done`; `found`: already in the store; `busy`: another process is running it; `failed`: it raised; `died`: its
    worker was killed or exceeded a limit; `skipped`: not started, because the worker died or a parent failed; `apart`: it
    has to run without the others of its stack, because one of them broke it."""
    error: Mapping[str, Any] | None = None
    """Of a job that failed or died: {"type", "message", "job", "log"}, as in its record."""
    seconds: float = 0.0
    store_error: StoreError | None = None
    """The error of the store, if the store failed and not the job."""
    changed: bool = False
    """Whether it changed the state of its process, which then must not run further jobs."""
    left: str = ""
    """The changes that could not be undone, in words."""


class Executor(Protocol):
    """Runs tasks. A context manager: workers live until its end."""

    @property
    def slots(self) -> int:
        """Number of tasks it runs at once, one or more. It may change during a run."""

    def submit(self, jobs: Sequence[Job]) -> None:
        """Submit a task: jobs that one worker runs in the given order."""

    def wait(self, timeout: float) -> list[Outcome]:
        """Return the outcomes of finished tasks, waiting up to `timeout` seconds for the first.

        Every submitted job has one outcome; those of one task are returned together.
        """

    def stop(self) -> None:
        """Stop immediately: running jobs are killed and have no outcome."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None: ...


Count = Annotated[int, Meta(ge=1)]


class ExecutorOffer(Parametrized, frozen=True, kw_only=True):
    """An executor with its options as fields: `local`, `dask[scheduler=tcp://127.0.0.1:8786]`.

    Options have no effect on results and are not part of identities.
    """

    stage: ClassVar[str] = "executor"

    def devices(self, asked: str) -> tuple[str, ...]:
        """Return the devices of jobs, `Context.devices`. asked: the option --device, such as `auto` or `cuda:0,1`.

        Raises `UsageError` for a device that is not there.
        """
        return devices_here(asked)

    def make(self, context: Context, terms: Terms = DEFAULTS) -> Executor:
        """Return the executor. Raises `UsageError` if it cannot enforce a limit of the terms."""
        raise NotImplementedError
