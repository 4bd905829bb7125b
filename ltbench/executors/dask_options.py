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
    """Workers of a Dask cluster: where they are, and how to start them."""

    scheduler: Annotated[
        Address | None, Meta(description="address of a running cluster's scheduler, tcp://host:port")
    ] = None
    cluster: Annotated[
        Literal["local", "slurm", "pbs", "sge", "kubernetes"] | None,
        Meta(description="where to start workers; local by default"),
    ] = None
    workers: Annotated[
        Count | None, Meta(description="number of workers to start; on a cluster, each in its own job")
    ] = None
    cores: Annotated[Count | None, Meta(description="cores per worker; one by default")] = None
    memory: Annotated[Size | None, Meta(description="memory per worker, such as 8GB")] = None
    gpus: Annotated[Share | None, Meta(description="GPUs per worker; may be a fraction")] = None
    queue: Annotated[str | None, Meta(description="partition or queue of the batch system")] = None
    account: Annotated[str | None, Meta(description="account to charge; for SGE the project")] = None
    walltime: Annotated[str | None, Meta(description="time limit of a batch job, such as 12:00:00")] = None
    directives: Annotated[tuple[str, ...], Meta(description="extra directives of a batch job, a+b")] = ()
    prologue: Annotated[tuple[str, ...], Meta(description="shell commands to run before a worker starts, a+b")] = ()
    python: Annotated[str | None, Meta(description="Python executable of the workers; this one by default")] = None
    logs: Annotated[str | None, Meta(description="folder for the output of batch jobs; in the store by default")] = None
    interface: Annotated[str | None, Meta(description="network interface of scheduler and workers")] = None
    image: Annotated[str | None, Meta(description="container image with ltbench[train,dask]")] = None
    namespace: Annotated[str | None, Meta(description="Kubernetes namespace")] = None
    volumes: Annotated[tuple[Volume, ...], Meta(description="volume claims mounted by every pod, claim:/path")] = ()
    wait: Annotated[float, Meta(gt=0, description="end the run after this many seconds without any worker")] = 3600.0

    def check(self) -> None:
        """Raise `ParameterError` for options that contradict each other, are missing, or have no effect."""
        if self.scheduler and (self.cluster or self.workers):
            raise self._refused("scheduler", self.scheduler, "a running cluster has its own workers",
                                "remove cluster and workers")  # fmt: skip
        for option, clusters in _ONLY.items():
            value = getattr(self, option)
            if value and self.kind not in clusters:
                raise self._refused(option, value, f"it has no effect with {self.kind}",
                                    f"allowed with cluster={' | '.join(clusters)}")  # fmt: skip
        if self.cluster in _QUEUES and not self.memory:
            raise self._refused("memory", "", f"cluster={self.cluster} needs the memory per worker",
                                "memory=4GB")  # fmt: skip
        if self.cluster == "kubernetes" and not self.image:
            raise self._refused("image", "", "cluster=kubernetes needs a container image", "image=NAME:TAG")

    def _refused(self, option: str, value: object, why: str, fix: str) -> ParameterError:
        return ParameterError(f"executor 'dask' does not accept {option} = {value!r}", why=why, fix=fix)

    @property
    def kind(self) -> str:
        """The kind of cluster; `scheduler` for a running one."""
        return "scheduler" if self.scheduler else (self.cluster or "local")
