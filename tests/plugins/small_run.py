"""Runs of a few small trainings, planned and executed as `ltbench run` does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from engine.world import Net, Patterns
from safetensors.torch import load_file
from support import make_executor, registry_with

from ltbench.core.spec import Job
from ltbench.executor import Context, Terms
from ltbench.planning.parts import make_plan
from ltbench.planning.plan import Plan
from ltbench.running.options import RunOptions
from ltbench.running.runner import run
from ltbench.store.store import Store
from ltbench.suite.suite import changed, find_suite

RECIPE = {"steps": 20, "batch_size": 8, "lr": 0.05, "weight_decay": 5e-4, "schedule": "cosine", "precision": "fp32"}


class SmallRun:
    """Cells of combinations of the patterns, run in this process."""

    def __init__(self, folder: Path, *rows: Sequence[str], recipe: dict[str, Any] | None = None) -> None:
        """rows: combinations besides the baseline; recipe: changes of it."""
        registry = registry_with(Patterns, Net)
        suite = changed(
            find_suite("quick", registry), name="small", datasets=["patterns"], imbalance_factors=[3], models=["net"],
            techniques=[], combinations=list(rows), seeds=[0], recipe=RECIPE | (recipe or {}),
        )  # fmt: skip
        self.context = Context(store=Store(folder / "store"), registry=registry, data_root=folder)
        self.plan: Plan = make_plan(suite, registry, folder)
        with make_executor("inline", self.context, Terms(workers=1, timeout=None)) as executor:
            self.summary = run(self.plan, self.context, executor, RunOptions(retries=0))
        failed = [self.context.store.record(key)["error"] for key in self.summary.failed]
        assert not failed, failed

    def cell(self, *labels: str) -> Job:
        """Return the cell of a combination."""
        (cell,) = [c for c in self.plan.cells if {t for t in c.extra["combination"].values() if t} == set(labels)]
        return cell

    def record(self, *labels: str) -> dict[str, Any]:
        """Return the record of a combination."""
        record = self.context.store.record(self.cell(*labels).key)
        assert record is not None
        return record

    def fit(self, *labels: str) -> dict[str, Any]:
        """Return the metadata of the only training of a combination."""
        (key,) = self.cell(*labels).spec["members"]
        return self.context.store.meta(key)

    def weights(self, *labels: str) -> dict[str, torch.Tensor]:
        """Return the weights of the only training of a combination."""
        (key,) = self.cell(*labels).spec["members"]
        return load_file(self.context.store.path(key) / "weights.safetensors")
