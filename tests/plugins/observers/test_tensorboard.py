"""TensorBoard reads what the observer has written."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from seen import CURVE, watched

pytest.importorskip("tensorboard", reason="the extra tensorboard is not installed")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_each_cell_is_a_run_with_its_curve_and_metrics(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer
    from tensorboard.util.tensor_util import make_ndarray

    records = watched(tmp_path, f"tensorboard[folder={tmp_path / 'events'}]")
    read = EventMultiplexer().AddRunsFromDirectory(str(tmp_path / "events"))
    read.Reload()
    trainings = [name for name in read.Runs() if "/training " in name]
    assert len(read.Runs()) - len(trainings) == len(trainings) == len(records) == 4
    curves = [[float(make_ndarray(each.tensor_proto)) for each in read.Tensors(run, "train/loss")] for run in trainings]
    recorded = sorted(record["curve"]["loss"] for record in records.values())
    assert [each for losses in sorted(curves) for each in losses] == pytest.approx(
        [each for losses in recorded for each in losses]
    )
    for record in records.values():
        label, seed = record["combination"]["sampler"] or "baseline", record["setting"]["seed"]
        (run,) = [name for name in read.Runs() if f"/{label} | " in name and name.endswith(f"seed {seed}-{seed}")]
        (top1,) = read.Tensors(run, "metrics/top1")
        assert float(make_ndarray(top1.tensor_proto)) == pytest.approx(record["metrics"]["top1"])
        losses = [float(make_ndarray(each.tensor_proto)) for each in read.Tensors(run, "train/loss")]
        assert losses == pytest.approx(record["curve"]["loss"])
        assert len(losses) == CURVE
        assert [each.step for each in read.Tensors(run, "train/loss")] == [0, 1]
