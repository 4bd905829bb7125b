"""Starts the workers of a Dask cluster: here, as jobs of a batch system, or as pods."""

from __future__ import annotations

import shlex
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
from distributed.deploy.cluster import Cluster
from distributed.deploy.spec import SpecCluster
from distributed.security import Security

from ltbench.core.folders import cores
from ltbench.errors import ClusterError, PluginError
from ltbench.executors.dask_options import DaskOptions
from ltbench.executors.worker_process import ENVIRONMENT, check_can_share_locks, starting_workers

CONFIG: dict[str, Any] = {
    "distributed.scheduler.allowed-failures": 0,  # the runner decides about retries
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,  # a paused worker would wait for ever: a training cannot free memory
    "distributed.worker.profile.enabled": False,
    "distributed.nanny.pre-spawn-environ": ENVIRONMENT,
}
_PATIENCE = {"local": "1000d"}
"""How long a worker may be gone before its batch job is submitted again. Local workers are restarted by their nanny.

Dask applies it to the worker that is missing after that time, which may have been restarted in between."""
_NO_DASHBOARD = "127.0.0.1:0"


def resources(options: DaskOptions) -> dict[str, float]:
    """Return what a job needs, as Dask resources; a worker started by ltbench has exactly that."""
    from dask.utils import parse_bytes

    amounts = {"CORES": options.cores, "MEMORY": options.memory and parse_bytes(options.memory), "GPU": options.gpus}
    return {name: float(value) for name, value in amounts.items() if value}


def start(options: DaskOptions, workers: int | None, logs: Path) -> Cluster:
    """Start a scheduler in this process, or for Kubernetes in a pod, and the workers requested by the options.

    Without Kubernetes all connections are encrypted, and both sides have to show a certificate that is made here and ends with
    the cluster: whoever could connect to a worker could run code as its user.
    logs: the folder of the output of batch jobs unless the options name one.
    Raises `ClusterError` if they cannot be started, and `PluginError` if a package is missing.
    """
    kind = options.kind
    dask.config.set({"distributed.deploy.lost-worker-timeout": _PATIENCE.get(kind, "60s")})
    workers = workers or options.workers
    try:
        with dask.config.set(CONFIG), starting_workers():
            if kind == "local":
                return _local(options, workers)
            return _kubernetes(options, workers) if kind == "kubernetes" else _batch(options, workers, logs)
    except ImportError as error:
        raise PluginError(f"executor 'dask' with cluster={kind} needs a package that is not installed", why=str(error),
                          fix="pip install dask-kubernetes" if kind == "kubernetes" else "pip install 'ltbench[dask]'",
                          ) from error  # fmt: skip
    except (OSError, RuntimeError, ValueError, TimeoutError) as error:
        raise ClusterError(f"cannot start workers with cluster={kind}",
                           why=str(error) or type(error).__name__) from error  # fmt: skip


def _local(options: DaskOptions, workers: int | None) -> Cluster:
    from distributed import LocalCluster

    check_can_share_locks()
    return LocalCluster(  # type: ignore[no-untyped-call]
        n_workers=workers or max(1, cores() // (options.cores or 1)),
        threads_per_worker=1,
        host=None if options.interface else "127.0.0.1",
        interface=options.interface,
        dashboard_address=_NO_DASHBOARD,
        security=Security.temporary(),  # type: ignore[no-untyped-call]
        memory_limit=options.memory or 0,
        resources=resources(options) or None,
    )


def _batch(options: DaskOptions, workers: int | None, logs: Path) -> Cluster:
    """Return a cluster with one batch job for each worker."""
    import dask_jobqueue

    kinds: dict[str, tuple[str, dict[str, Any]]] = {
        "slurm": ("SLURMCluster", {"account": options.account, "job_cpu": options.cores}),
        "pbs": ("PBSCluster", {"account": options.account}),
        "sge": ("SGECluster", {"project": options.account}),
    }
    kind, own = kinds[options.kind]
    offered = ",".join(f"{name}={value:g}" for name, value in resources(options).items())
    shared = Path(options.logs or logs).absolute()
    shared.mkdir(parents=True, exist_ok=True)
    secrets = Path(tempfile.mkdtemp(prefix="tls-", dir=shared))  # which nobody else may enter
    cluster = getattr(dask_jobqueue, kind)(
        **{key: value for key, value in own.items() if value is not None},
        queue=options.queue,
        walltime=options.walltime,
        cores=options.cores or 1,
        processes=1,
        memory=options.memory,
        interface=options.interface,
        python=options.python,
        log_directory=str(shared),
        security=_in_files(secrets),
        job_name="ltbench",
        job_extra_directives=list(options.directives),
        job_script_prologue=[*exports(), *options.prologue],
        worker_extra_args=["--nthreads", "1", "--no-dashboard", "--resources", shlex.quote(offered)],
        scheduler_options={"dashboard_address": _NO_DASHBOARD},
    )
    assert isinstance(cluster, SpecCluster)
    weakref.finalize(cluster, shutil.rmtree, secrets, ignore_errors=True)
    try:
        # Submitted here and not in the background, so that errors of the batch system are raised.
        while len(cluster.worker_spec) < (workers or 1):
            cluster.worker_spec.update(cluster.new_worker_spec())  # type: ignore[no-untyped-call]
        cluster.sync(cluster._correct_state)  # type: ignore[no-untyped-call]  # noqa: SLF001 - scale() hides errors
    except BaseException:
        cluster._created.clear()  # noqa: SLF001 - jobs that were never submitted cannot be closed
        cluster.close()
        raise
    return cluster


def _in_files(folder: Path) -> Security:
    """Return new credentials as files in a folder, which the workers of batch jobs read."""
    made = Security.temporary()  # type: ignore[no-untyped-call]
    paths = {}
    for role in ("scheduler", "worker", "client"):
        for kind in ("key", "cert"):
            path = folder / f"{kind}.pem"
            path.write_text(getattr(made, f"tls_{role}_{kind}"), encoding="ascii")
            paths[f"tls_{role}_{kind}"] = str(path)
    return Security(require_encryption=True, tls_ca_file=paths["tls_worker_cert"], **paths)  # type: ignore[no-untyped-call]


def keep(cluster: Cluster) -> None:
    """Restart workers whose batch job or nanny is lost. Call it from time to time."""
    if isinstance(cluster, SpecCluster) and len(cluster.workers) < len(cluster.worker_spec):
        cluster.scale(len(cluster.worker_spec))  # type: ignore[no-untyped-call]


def exports() -> Iterator[str]:
    """Yield the shell lines that set a worker's environment before its Python starts."""
    for name, value in ENVIRONMENT.items():
        yield f"export {name}={value}"
    for key, setting in CONFIG.items():
        if not isinstance(setting, dict):
            yield f"export DASK_{key.upper().replace('.', '__').replace('-', '_')}={setting}"


def _kubernetes(options: DaskOptions, workers: int | None) -> Cluster:
    """Return a cluster of Dask's operator, with the volumes mounted in every worker. Not tested on a real cluster."""
    from dask_kubernetes.operator import KubeCluster, make_cluster_spec

    asked = {"cpu": str(options.cores or 1)} | ({"memory": options.memory.rstrip("B")} if options.memory else {})
    offered = " ".join(f"{name}={value:g}" for name, value in resources(options).items())
    command = ["dask", "worker", "--nthreads", "1", *(["--resources", offered] if offered else [])]
    spec = make_cluster_spec(
        name="ltbench",
        image=options.image,
        n_workers=workers or 1,
        resources={"requests": asked, "limits": asked},
        worker_command=command,
        env=dict(line.removeprefix("export ").split("=", 1) for line in exports()),
    )
    pod = spec["spec"]["worker"]["spec"]
    for number, volume in enumerate(options.volumes):
        claim, _, path = volume.partition(":")
        name = f"shared-{number}"
        pod.setdefault("volumes", []).append({"name": name, "persistentVolumeClaim": {"claimName": claim}})
        pod["containers"][0].setdefault("volumeMounts", []).append({"name": name, "mountPath": path})
    cluster = KubeCluster(custom_cluster_spec=spec, namespace=options.namespace)
    assert isinstance(cluster, Cluster)
    return cluster
