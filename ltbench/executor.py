"""Where jobs run: the interface of an executor, what it is given, and what it gives back.

An executor is offered through the hook `ltbench_executors`. It is given tasks, a task being a few jobs that one worker
does in order. What a job makes goes to the store; only its outcome comes back, so a job done twice does no harm.
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
"""What a worker calls for a job, with the job and its context: a callable by its path, so that it can be sent."""


TASK_LEASE = "task-"
"""What the name of a lease on a task begins with; other leases are on jobs and on runs."""


class Techniques(Protocol):
    """What plugins offer, as everything but the registry itself sees it."""

    @property
    def origin(self) -> PluginOrigin:
        """What it was loaded from, so that a worker loads the same."""

    @property
    def entries(self) -> Mapping[str, Entry]:
        """Techniques by name, and who offers them."""

    @property
    def suites(self) -> Mapping[str, Path]:
        """Suite files by name."""

    def of(self, stage: str) -> Mapping[str, type[Technique]]:
        """Return the techniques of a stage by name, sorted."""

    def entry(self, name: str) -> Entry:
        """Return who offers `name`; `PluginError` where nobody does."""

    def baseline(self, stage: str) -> Technique | None:
        """Return what a stage does when a combination picks nothing there; None for nothing at all."""

    def parse(self, text: str, stage: str = "") -> Technique:
        """Return the one technique written in `text`, of `stage` where that is given."""

    def parse_all(self, text: str) -> list[Technique]:
        """Return the techniques written in `text`: `a,b[x=1],c[y=1,2]`."""

    def spec(self, technique: Technique) -> dict[str, Any]:
        """Return the part of a technique that enters identity."""

    def build(self, spec: Mapping[str, Any]) -> Technique:
        """Return the technique that a spec describes; `PluginError` where its plugin is gone or differs."""

    def build_as(self, spec: Mapping[str, Any], kind: type[T]) -> T:
        """Return the same, known to be of the stage `kind`."""

    def provenance(self, technique: Technique) -> dict[str, Any]:
        """Return who made a technique, for records."""


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """What every job is given besides its own spec. None of it can influence a number."""

    store: Store
    registry: Techniques
    data_root: Path
    device: str = "cpu"
    snapshot_seconds: float = 60.0
    """Time between snapshots of a training that is under way."""


Work = Callable[[Job, Context], None]
"""Does one job; what the job makes is in the store afterwards."""


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """On what terms jobs run. A struct, so that an executor written today is still right when it gets a field more."""

    workers: int | None = None
    """How many tasks at once; by default what the executor takes for right. It goes before an option of that name."""
    timeout: float | None = None
    """Seconds that a job may take; by default any number."""
    memory: int | None = None
    """Bytes that the worker of a job may have resident; by default any number."""
    work: str | Work = WORK
    """What does a job: `module:name` where it is sent elsewhere, and where jobs are done in this process a callable, too."""

    def with_workers(self, workers: int | None) -> Self:
        """Return the same with so many workers, where none are asked for yet."""
        return msgspec.structs.replace(self, workers=self.workers or workers)


DEFAULTS = Terms()


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How one job of a task ended."""

    key: str
    status: Literal["done", "found", "busy", "failed", "died", "skipped"]
    """`done` here and now; `found` made by someone else; `busy`: another process is at it; `failed`: it raised;
    `died`: its worker was killed or took too long; `skipped`: not begun, as a job before it did not end well."""
    error: Mapping[str, Any] | None = None
    """Of what failed or died: {"type", "message", "job", "log"}, as a record holds it."""
    seconds: float = 0.0
    store_error: StoreError | None = None
    """Where the store was what failed: no fault of the job."""


class Executor(Protocol):
    """Runs tasks. Used as a context manager: workers live until its end."""

    @property
    def slots(self) -> int:
        """How many tasks it takes at once, one or more; it may change in the course of a run."""

    def submit(self, jobs: Sequence[Job]) -> None:
        """Take a task: jobs that one worker does in the given order."""

    def wait(self, timeout: float) -> list[Outcome]:
        """Return the outcomes of the tasks that ended, waiting for the first at most `timeout` seconds.

        Every job that was submitted has one outcome, and those of one task come together.
        """

    def stop(self) -> None:
        """Stop at once: what is running is killed and has no outcome."""

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
        """Return the executor. Where it cannot hold a job to a limit of the terms, it raises `UsageError`."""
        raise NotImplementedError
