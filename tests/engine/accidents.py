"""A worker that is killed in the middle of a training, and another one that goes on."""

from __future__ import annotations

import pytest

from ltbench.core.spec import Job
from ltbench.engine.fit import fit
from ltbench.engine.resume import Snapshots
from ltbench.engine.training import Training
from ltbench.executor import Context

SNAPSHOT = Snapshots.__call__


class Accident(Exception):
    """Stands for whatever ends a worker in the middle of a training."""


def fit_with_accident(job: Job, context: Context, monkeypatch: pytest.MonkeyPatch, at: int, *, later: int = 0) -> None:
    """Train a job with a snapshot after a step, killed some steps later, and then resumed from it.

    context: with `snapshot_seconds` 0.
    """

    def then_an_accident(self: Snapshots, training: Training) -> None:
        if training.steps == at:
            SNAPSHOT(self, training)
        if training.steps == at + later:
            raise Accident

    monkeypatch.setattr(Snapshots, "__call__", then_an_accident)
    with pytest.raises(Accident):
        fit(job, context)
    monkeypatch.setattr(Snapshots, "__call__", lambda self, training: None)
    fit(job, context)
    assert context.store.meta(job.key)["resumed_from"], at
