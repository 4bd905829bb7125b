"""Where jobs run: one file per executor, all behind one small interface.

Executors are offered through the hook `ltbench_executors`, those of ltbench in `offers.py`.

An executor is given tasks, a task being a few jobs that one worker does in order. What a job makes goes to the store;
only its outcome comes back, so that a job which is done twice does no harm.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self

import msgspec

from ltbench.cells import Job
from ltbench.errors import StoreError

if TYPE_CHECKING:
    from ltbench.executors.task import Work
    from ltbench.work import Context

WORK = "ltbench.work:execute"
"""What a worker calls for a job, with the job and its context: a callable by its path, so that it can be sent."""


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


def make_executor(text: str, context: Context, terms: Terms = DEFAULTS) -> Executor:
    """Return the executor that is written in `text`: `local`, `dask[scheduler=tcp://127.0.0.1:8786]`.

    Raises `UnknownName`, `ParameterError`, `PluginError` where something is not installed, and `UsageError` where an
    executor cannot hold jobs to a limit.
    """
    return context.registry.executor(text).make(context, terms)


def resolve(path: str) -> Any:
    """Return what `package.module:name` names."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def by_path(work: str | Work) -> str:
    """Return the path of what does a job in another process, where it can be sent only by that."""
    assert isinstance(work, str), "what does a job in another process is sent there by its path"
    return work
