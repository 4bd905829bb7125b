from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from plugins.small_run import SmallRun

from ltbench import Member
from ltbench.errors import ParameterError
from ltbench.planning.combinations import Combination, reason_left_out
from ltbench_plugins.ensembles.snapshot_ensemble import SnapshotEnsemble
from ltbench_plugins.regimes.snapshot import Snapshot

ROW = ["snapshot[cycles=4]", "snapshot_ensemble[cycles=4]"]


def test_the_members_are_the_ends_of_the_cycles() -> None:
    assert SnapshotEnsemble().members([1]) == [*(Member(until=n / 5) for n in (1, 2, 3, 4)), Member()]
    assert SnapshotEnsemble(cycles=4, last=2).members([1]) == [Member(until=0.75), Member()]
    assert SnapshotEnsemble(cycles=4, last=4) == SnapshotEnsemble(cycles=4)
    ends = [phase.until for phase in Snapshot(cycles=6).phases()]
    assert [member.until or 1.0 for member in SnapshotEnsemble(cycles=6).members([1])] == ends


def test_it_averages_the_last_ones() -> None:
    probabilities = np.array([[[0.9, 0.1]], [[0.3, 0.7]]])
    np.testing.assert_allclose(SnapshotEnsemble(cycles=2).merge(probabilities), [[0.6, 0.4]])


def test_it_needs_its_regime_and_no_more_members_than_cycles() -> None:
    assert "its members are the ends of the cycles" in reason_left_out(Combination((SnapshotEnsemble(),)))
    assert reason_left_out(Combination((Snapshot(), SnapshotEnsemble()))) == ""
    with pytest.raises(ParameterError, match="last = 6 but only 5 cycles"):
        SnapshotEnsemble(last=6)


def test_one_training_makes_all_members(tmp_path: Path) -> None:
    made = SmallRun(tmp_path, ROW[:1], ROW)
    single, several = made.record(*ROW[:1]), made.record(*ROW)
    assert made.plan.trainings_naive == 1 + 1 + 4
    fits = several["spec"]["members"]
    assert fits[-1:] == single["spec"]["members"], "the last member is the training itself"
    metas = [made.context.store.meta(key) for key in fits]
    assert [meta["steps"] for meta in metas] == [5, 10, 15, 20]
    assert [meta["resumed_from"] for meta in metas[1:]] == [f"{key}-state" for key in fits[:-1]]
    # The cost is that of the one training, not the sum over its points; predicting needs all networks.
    assert several["cost"]["samples"] == single["cost"]["samples"] == 20 * 8
    assert several["cost"]["parameters"] == 4 * single["cost"]["parameters"]
    assert several["cost"]["train_seconds"] == single["cost"]["train_seconds"]


def test_the_ensemble_predicts_the_mean_of_its_members(tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    made = SmallRun(tmp_path, ROW)
    cell = made.cell(*ROW)
    files = [load_file(made.context.store.path(key) / "logits.safetensors") for key in cell.parents]
    powers = [np.exp(file["logits"].astype(float)) for file in files]
    mean = np.mean([power / power.sum(1, keepdims=True) for power in powers], 0)
    labels = files[0]["labels"]
    assert made.record(*ROW)["metrics"]["top1"] == pytest.approx((mean.argmax(1) == labels).mean())
