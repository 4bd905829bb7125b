"""MLflow reads what the observer has written to a folder, without a server."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from seen import CURVE, watched

pytest.importorskip("mlflow", reason="the extra mlflow is not installed")


@pytest.mark.filterwarnings("ignore")  # of MLflow, when it is imported and when it reads a folder
def test_each_cell_is_a_run_with_its_parameters_curve_and_metrics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    records = watched(tmp_path, f"mlflow[uri={tmp_path / 'runs'}]")
    client = MlflowClient(tracking_uri=(tmp_path / "runs").as_uri())
    experiment = client.get_experiment_by_name("quick")
    runs = client.search_runs([experiment.experiment_id])
    assert {run.data.tags["ltbench.cell"] for run in runs} == set(records)
    for run in runs:
        record = records[run.data.tags["ltbench.cell"]]
        assert run.info.status == "FINISHED"
        assert run.data.metrics["top1"] == pytest.approx(record["metrics"]["top1"])
        assert run.data.params["techniques"] == (record["combination"]["sampler"] or "baseline")
        assert run.data.params["seed"] == str(record["setting"]["seed"])
        assert run.data.params["recipe.epochs"] == "2"
        history = sorted(client.get_metric_history(run.info.run_id, "train.loss"), key=lambda each: each.step)
        assert [each.value for each in history] == pytest.approx(record["curve"]["loss"])
        assert len(history) == CURVE


def test_a_second_run_joins_the_experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow import MlflowClient

    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    for _ in range(2):
        watched(tmp_path, f"mlflow[uri={tmp_path / 'runs'}]")
    client = MlflowClient(tracking_uri=(tmp_path / "runs").as_uri())
    assert len(client.search_runs([client.get_experiment_by_name("quick").experiment_id])) == 8
