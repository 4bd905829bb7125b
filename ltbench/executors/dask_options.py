"""The options of the Dask executor."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from ltbench.errors import ParameterError
from ltbench.executor import Count, ExecutorOffer

Address = Annotated[str, Meta(pattern=r"^[a-z]+://\S+:\d+/?\Z")]
Size = Annotated[str, Meta(pattern=r"^\d+(\.\d+)? ?([kKMGT]i?)?B\Z")]
Volume = Annotated[str, Meta(pattern=r"^[a-z0-9.-]+:/\S*\Z")]
Share = Annotated[float, Meta(gt=0)]

_QUEUES = ("slurm", "pbs", "sge")
_ONLY = {
    **dict.fromkeys(("queue", "account", "walltime", "directives", "prologue", "python", "logs"), _QUEUES),
    "interface": (*_QUEUES, "local"),
    **dict.fromkeys(("image", "namespace", "volumes"), ("kubernetes",)),
}
"""Options that apply to some clusters only."""


class DaskOptions(ExecutorOffer, frozen=True):
    """Workers of a Dask cluster: where they are, and how they are started."""

    scheduler: Annotated[Address | None, Meta(description="of a running cluster, tcp://host:port")] = None
    cluster: Annotated[
        Literal["local", "slurm", "pbs", "sge", "kubernetes"] | None,
        Meta(description="where workers are started; local without a scheduler"),
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
        """Raise `ParameterError` for options that exclude each other, are missing, or have no effect."""
        if self.scheduler and (self.cluster or self.workers):
            raise self._refused("scheduler", self.scheduler, "a running cluster has its own workers",
                                "leave out cluster and workers")  # fmt: skip
        for option, clusters in _ONLY.items():
            value = getattr(self, option)
            if value and self.kind not in clusters:
                raise self._refused(option, value, f"it has no effect for {self.kind}",
                                    f"allowed with cluster={' | '.join(clusters)}")  # fmt: skip
        if self.cluster in _QUEUES and not self.memory:
            raise self._refused("memory", "", f"cluster={self.cluster} needs the memory of a worker",
                                "memory=4GB")  # fmt: skip
        if self.cluster == "kubernetes" and not self.image:
            raise self._refused("image", "", "cluster=kubernetes needs a container image", "image=NAME:TAG")

    def _refused(self, option: str, value: object, why: str, fix: str) -> ParameterError:
        return ParameterError(f"executor 'dask' does not accept {option} = {value!r}", why=why, fix=fix)

    @property
    def kind(self) -> str:
        """Where the workers are: `scheduler` for those of a running cluster."""
        return "scheduler" if self.scheduler else (self.cluster or "local")
