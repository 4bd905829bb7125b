"""Where jobs run: the interface of an executor, what it is given and what it returns.

An executor is offered through the hook `ltbench_executors`. It is given tasks, a task being a few jobs that one worker
does in order. Results go to the store, only outcomes come back, so a job done twice does no harm. Whatever runs jobs in
other processes builds on `ltbench.executors.remote`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, ClassVar, Literal, Protocol, Self, TypeVar

import msgspec
from msgspec import Meta

from ltbench.core.plugins import Entry, PluginOrigin
from ltbench.core.spec import Job
from ltbench.errors import StoreError
from ltbench.store.store import Store
from ltbench.technique import Parametrized, Technique

T = TypeVar("T", bound=Technique)

WORK = "ltbench.executors.execute:execute"
"""What a worker calls with a job and its context: a callable by its path, so that it can be sent."""

TASK_LEASE = "task-"
"""What the name of a lease on a task begins with; other leases are on jobs and on runs."""


class Techniques(Protocol):
    """The registry as jobs and plans see it."""

    @property
    def origin(self) -> PluginOrigin:
        """Where the plugins came from, so that a worker loads the same."""

    @property
    def entries(self) -> Mapping[str, Entry]:
        """Techniques by name, with the plugins that offer them."""

    @property
    def suites(self) -> Mapping[str, Path]:
        """Suite files by name."""

    def of(self, stage: str) -> Mapping[str, type[Technique]]:
        """Return the techniques of a stage by name, sorted."""

    def entry(self, name: str) -> Entry:
        """Return the entry of a name. Raises `PluginError` if no plugin offers it."""

    def baseline(self, stage: str) -> Technique | None:
        """Return the technique of a stage where a combination picks none; None if the stage then does nothing."""

    def parse(self, text: str, stage: str = "") -> Technique:
        """Return the one technique written in `text`, which has to be of `stage` unless that is empty."""

    def parse_all(self, text: str) -> list[Technique]:
        """Return the techniques written in `text`: `a,b[x=1],c[y=1,2]`."""

    def spec(self, technique: Technique) -> dict[str, Any]:
        """Return the part of a technique that enters identity."""

    def build(self, spec: Mapping[str, Any]) -> Technique:
        """Return the technique of a spec. Raises `PluginError` if its plugin is missing or differs."""

    def build_as(self, spec: Mapping[str, Any], kind: type[T]) -> T:
        """Return the technique of a spec, which has to be a `kind`."""

    def provenance(self, technique: Technique) -> dict[str, Any]:
        """Return plugin, distribution, version and source of a technique, for records."""


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """What every job is given besides its spec. None of it can influence a number."""

    store: Store
    registry: Techniques
    data_root: Path
    device: str = "cpu"
    snapshot_seconds: float = 60.0
    """Time between snapshots of a running training."""


Work = Callable[[Job, Context], None]
"""Does one job and puts its result into the store."""


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """Worker count and limits for jobs. A struct, so that it can get more fields without changing any executor."""

    workers: int | None = None
    """How many tasks at once, by default as the executor decides. It takes precedence over an option of that name."""
    timeout: float | None = None
    """Seconds that a job may take; None for no limit."""
    memory: int | None = None
    """Bytes that the worker of a job may have resident; None for no limit."""
    work: str | Work = WORK
    """What does a job, as `module:name`; for jobs in this process a callable, too."""

    def with_workers(self, workers: int | None) -> Self:
        """Return the terms with so many workers, unless they state a number."""
        return msgspec.structs.replace(self, workers=self.workers or workers)


DEFAULTS = Terms()


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How one job of a task ended."""

    key: str
    status: Literal["done", "found", "busy", "failed", "died", "skipped"]
    """`done`; `found`: already in the store; `busy`: another process is running it; `failed`: it raised; `died`: its
    worker was killed or exceeded a limit; `skipped`: not started, as the worker died or a parent did not succeed."""
    error: Mapping[str, Any] | None = None
    """Of a job that failed or died: {"type", "message", "job", "log"}, as in its record."""
    seconds: float = 0.0
    store_error: StoreError | None = None
    """Set if the store failed, and not the job."""
    changed: bool = False
    """Whether it left the state of its process changed: no further job may run in that process."""
    left: str = ""
    """What of that could not be put back, in words."""


class Executor(Protocol):
    """Runs tasks. A context manager: workers live until its end."""

    @property
    def slots(self) -> int:
        """How many tasks it takes at once, one or more. It may change in the course of a run."""

    def submit(self, jobs: Sequence[Job]) -> None:
        """Take a task: jobs that one worker does in the given order."""

    def wait(self, timeout: float) -> list[Outcome]:
        """Return the outcomes of the tasks that ended, waiting for the first at most `timeout` seconds.

        Every job that was submitted has one outcome, and those of one task come together.
        """

    def stop(self) -> None:
        """Stop at once: running jobs are killed and have no outcome."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None: ...


Count = Annotated[int, Meta(ge=1)]


class ExecutorOffer(Parametrized, frozen=True, kw_only=True):
    """An executor with its options as fields: `local`, `dask[scheduler=tcp://127.0.0.1:8786]`.

    None of it can influence a number, and none of it is in an identity.
    """

    stage: ClassVar[str] = "executor"

    def make(self, context: Context, terms: Terms = DEFAULTS) -> Executor:
        """Return the executor. Raises `UsageError` if it cannot enforce a limit of the terms."""
        raise NotImplementedError
