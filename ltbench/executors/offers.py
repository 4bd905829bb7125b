"""What an executor is before it runs: a name and options, written like a technique, and how to make it.

An offer imports nothing heavy until it is asked to `make` its executor, so that help and completion know all of them.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from ltbench.errors import ParameterError, PluginError
from ltbench.executors import DEFAULTS, Executor, Terms
from ltbench.hookspecs import hookimpl
from ltbench.technique import Parametrized

if TYPE_CHECKING:
    from ltbench.work import Context


def _with_workers(terms: Terms, workers: int | None) -> Terms:
    return msgspec.structs.replace(terms, workers=terms.workers or workers)


Address = Annotated[str, Meta(pattern=r"^[a-z]+://\S+:\d+/?$")]
Size = Annotated[str, Meta(pattern=r"^\d+(\.\d+)? ?([kKMGT]i?)?B$")]
Volume = Annotated[str, Meta(pattern=r"^[a-z0-9.-]+:/\S*$")]
Count = Annotated[int, Meta(ge=1)]
Share = Annotated[float, Meta(gt=0)]


class ExecutorOffer(Parametrized, frozen=True, kw_only=True):
    """An executor with its options as fields: `local`, `dask[scheduler=tcp://127.0.0.1:8786]`.

    None of it can influence a number, and none of it is in an identity.
    """

    stage: ClassVar[str] = "executor"

    def make(self, context: Context, terms: Terms = DEFAULTS) -> Executor:
        """Return the executor. Where it cannot hold a job to a limit of the terms, it raises `UsageError`."""
        raise NotImplementedError


class InlineOffer(ExecutorOffer, frozen=True):
    """Jobs in this process, one after another: for debugging."""

    name = "inline"

    def make(self, context: Context, terms: Terms = DEFAULTS) -> Executor:
        from ltbench.executors.inline import Inline

        return Inline(context, terms)


class LocalOffer(ExecutorOffer, frozen=True):
    """Worker processes on this machine, one per core with one thread each."""

    name = "local"
    workers: Annotated[Count | None, Meta(description="processes at once; one per core by default")] = None

    def make(self, context: Context, terms: Terms = DEFAULTS) -> Executor:
        from ltbench.executors.local import Local

        return Local(context, _with_workers(terms, self.workers))


_QUEUES = ("slurm", "pbs", "sge")
_ONLY = {
    "queue": _QUEUES,
    "account": ("slurm", "pbs", "sge"),
    "walltime": _QUEUES,
    "directives": _QUEUES,
    "prologue": _QUEUES,
    "python": _QUEUES,
    "logs": _QUEUES,
    "interface": (*_QUEUES, "local"),
    "image": ("kubernetes",),
    "namespace": ("kubernetes",),
    "volumes": ("kubernetes",),
}
"""Options that mean something for some clusters only."""


class DaskOffer(ExecutorOffer, frozen=True):
    """Workers of a Dask cluster: one that is there already, or one that is started on Slurm, PBS, SGE or Kubernetes.

    Store and data have to be at the same path on every machine. A worker is a process with one thread and a nanny.
    """

    name = "dask"
    scheduler: Annotated[Address | None, Meta(description="of a cluster that is there already, tcp://host:port")] = None
    cluster: Annotated[
        Literal["local", "slurm", "pbs", "sge", "kubernetes"] | None,
        Meta(description="where workers are started; local where no scheduler is given"),
    ] = None
    workers: Annotated[Count | None, Meta(description="processes to start, on a cluster each in a job of its own")] = (
        None
    )
    cores: Annotated[Count | None, Meta(description="cores that one worker has to itself; one by default")] = None
    memory: Annotated[Size | None, Meta(description="memory of one worker, as 8GB")] = None
    gpus: Annotated[Share | None, Meta(description="GPUs, or the part of one, that one worker has")] = None
    queue: Annotated[str | None, Meta(description="partition or queue of the batch system")] = None
    account: Annotated[str | None, Meta(description="who pays for the jobs; for SGE the project")] = None
    walltime: Annotated[str | None, Meta(description="time limit of a batch job, as 12:00:00")] = None
    directives: Annotated[tuple[str, ...], Meta(description="further lines of a batch job's head, a+b")] = ()
    prologue: Annotated[tuple[str, ...], Meta(description="shell lines before a worker starts, a+b")] = ()
    python: Annotated[str | None, Meta(description="Python of the workers; this one by default")] = None
    logs: Annotated[str | None, Meta(description="folder of the batch jobs' output; in the store by default")] = None
    interface: Annotated[str | None, Meta(description="network interface that scheduler and workers talk over")] = None
    image: Annotated[str | None, Meta(description="container image with ltbench[dask]")] = None
    namespace: Annotated[str | None, Meta(description="Kubernetes namespace")] = None
    volumes: Annotated[tuple[Volume, ...], Meta(description="claims that every pod mounts, claim:/path")] = ()
    wait: Annotated[float, Meta(gt=0, description="seconds without any worker after which the run ends")] = 3600.0

    def check(self) -> None:
        """Raise `ParameterError` for options that exclude each other, are missing, or would change nothing."""
        if self.scheduler and (self.cluster or self.workers):
            raise self._refused("scheduler", self.scheduler, "the workers of a cluster that is there are its own",
                                "leave out cluster and workers")  # fmt: skip
        for option, clusters in _ONLY.items():
            value = getattr(self, option)
            if value and self.kind not in clusters:
                raise self._refused(option, value, f"it changes nothing for {self.kind}",
                                    f"allowed with cluster={' | '.join(clusters)}")  # fmt: skip
        if self.cluster in _QUEUES and not self.memory:
            raise self._refused("memory", "", f"cluster={self.cluster} has to be told how much a worker needs",
                                "memory=4GB")  # fmt: skip
        if self.cluster == "kubernetes" and not self.image:
            raise self._refused("image", "", "cluster=kubernetes has to be told what its workers run", "image=NAME:TAG")

    def _refused(self, option: str, value: object, why: str, fix: str) -> ParameterError:
        return ParameterError(f"executor 'dask' does not accept {option} = {value!r}", why=why, fix=fix)

    @property
    def kind(self) -> str:
        """Where the workers are: `scheduler` for those of a cluster that is there already."""
        return "scheduler" if self.scheduler else (self.cluster or "local")

    def make(self, context: Context, terms: Terms = DEFAULTS) -> Executor:
        for package in ("distributed", "dask_jobqueue"):
            if importlib.util.find_spec(package) is None:
                raise PluginError(
                    f"executor 'dask' needs the package {package}, which is not installed",
                    fix="pip install 'ltbench[dask]'",
                )
        from ltbench.executors.dask import Dask

        return Dask(context, self, _with_workers(terms, self.workers))


@hookimpl
def ltbench_executors() -> Sequence[type[ExecutorOffer]]:
    """Offer the executors that ltbench has of its own, the way anyone offers one."""
    return [LocalOffer, InlineOffer, DaskOffer]
