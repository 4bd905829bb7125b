"""The built-in executors as offers: name, options, and a factory.

Offers import nothing heavy before `make`, so that help and completion can load all of them.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta

from ltbench.core.devices import AUTO, CPU, check_device
from ltbench.errors import PluginError, UsageError, check_can_train
from ltbench.executor import DEFAULTS, Context, Count, Executor, ExecutorOffer, Terms
from ltbench.executors.dask_options import DaskOptions
from ltbench.hookspecs import hookimpl


class InlineOffer(ExecutorOffer, frozen=True):
    """Jobs in this process, one after another: for debugging."""

    name = "inline"

    def make(self, context: Context, terms: Terms = DEFAULTS) -> Executor:
        check_can_train("a run")
        from ltbench.executors.inline import Inline

        return Inline(context, terms)


class LocalOffer(ExecutorOffer, frozen=True):
    """Worker processes on this machine, one per core with one thread each."""

    name = "local"
    workers: Annotated[Count | None, Meta(description="number of processes; one per core by default")] = None

    def make(self, context: Context, terms: Terms = DEFAULTS) -> Executor:
        check_can_train("a run")
        from ltbench.executors.local import Local

        return Local(context, terms.with_workers(self.workers))


class DaskOffer(DaskOptions, frozen=True):
    """Workers of a Dask cluster: a running one, or one started on Slurm, PBS, SGE or Kubernetes.

    Store and data must have the same paths on all machines. A worker is a process with one thread and a nanny.
    """

    name = "dask"

    def devices(self, asked: str) -> tuple[str, ...]:
        # Other machines compute, so what this one has says nothing: a worker takes the first GPU that it is given.
        if asked == AUTO:
            return CPU if self.gpus is None else ("cuda",)
        if asked != "cpu" and check_device(asked):
            raise UsageError(
                f"--device {asked} chooses GPUs of this machine, but the workers are on others",
                fix="--device cuda; what a worker sees is set by CUDA_VISIBLE_DEVICES where it starts",
            )
        return (asked,)

    def make(self, context: Context, terms: Terms = DEFAULTS) -> Executor:
        for package in ("distributed", "dask_jobqueue"):
            if importlib.util.find_spec(package) is None:
                raise PluginError(
                    f"executor 'dask' needs the package {package}, which is not installed",
                    fix="pip install 'ltbench[dask]'",
                )
        check_can_train("a run")
        from ltbench.executors.dask import Dask

        return Dask(context, self, terms.with_workers(self.workers))


@hookimpl
def ltbench_executors() -> Sequence[type[ExecutorOffer]]:
    """Offer the built-in executors."""
    return [LocalOffer, InlineOffer, DaskOffer]
