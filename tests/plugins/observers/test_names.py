"""Names and folders that the tools refuse."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ltbench.errors import ParameterError
from ltbench.observer import CellRecorded, EpochEnded, JobEnded, RunBegun
from ltbench_plugins.observers.mlflow import MLflow
from ltbench_plugins.observers.tensorboard import TensorBoard, folder_name
from ltbench_plugins.observers.wandb import WeightsAndBiases

BEGUN = RunBegun(run="20260101-000000-abc", suite="quick", command=("ltbench", "run"))
LONG = " + ".join(f"technique_{number}[alpha=0.123456,beta=0.123456]" for number in range(9))


def cell(label: str, seed: int = 0, **metrics: float) -> CellRecorded:
    setting = {
        "dataset": "fashion_mini",
        "profile": "exp",
        "imbalance_factor": 100.0,
        "model": "convnet",
        "subset_seed": 0,
        "seed": seed,
    }
    record = {
        "id": "0f1b",
        "setting": setting,
        "combination": {"sampler": label},
        "metrics": metrics,
        "curve": {"loss": [1.0]},
    }
    return CellRecorded(record=record, label=label)


def test_long_labels_are_folders_of_their_own(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="the extra tensorboard is not installed")
    observer = TensorBoard(folder=str(tmp_path)).make()
    observer.run_begun(BEGUN)
    for seed in (0, 1):
        observer.cell_recorded(cell(LONG, seed, top1=0.5))
    observer.epoch_ended(EpochEnded(key="0123456789", about=LONG, number=0, values={"loss": 1.0}))
    observer.job_ended(JobEnded(key="0123456789", kind="fit", about=LONG, status="done"))
    names = sorted(path.name for path in (tmp_path / BEGUN.run).iterdir())
    assert len(names) == 3
    assert [name.rpartition(" ")[2] for name in names] == ["0-0", "0-1", "01234567"]


@pytest.mark.parametrize("name", ["é" * 200, "a" * 300, "../../etc", "a\nb\x1b"])
def test_a_name_of_a_folder_has_characters_and_bytes_that_file_systems_take(name: str, tmp_path: Path) -> None:
    (tmp_path / folder_name(name)).mkdir()
    assert len(list(tmp_path.iterdir())) == 1
    assert folder_name(name).isprintable()
    assert folder_name(name) != folder_name(name + "c")


def test_metrics_of_any_name_are_logged_in_mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow", reason="the extra mlflow is not installed")
    from mlflow import MlflowClient

    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    observer = MLflow(uri=str(tmp_path / "runs")).make()
    observer.run_begun(BEGUN)
    observer.cell_recorded(cell("baseline", **{"top-5 (%)": 0.5}))
    client = MlflowClient(tracking_uri=(tmp_path / "runs").as_uri())
    (run,) = client.search_runs([client.get_experiment_by_name("quick").experiment_id])
    assert (run.info.status, run.data.metrics["top-5 ___"]) == ("FINISHED", 0.5)


def test_a_folder_of_mlflow_may_be_an_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow", reason="the extra mlflow is not installed")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "")  # to be restored
    monkeypatch.delenv("MLFLOW_ALLOW_FILE_STORE")
    MLflow(uri=(tmp_path / "runs").as_uri()).make().run_begun(BEGUN)
    assert list((tmp_path / "runs").glob("*/meta.yaml"))


@pytest.mark.parametrize(
    "offer", [TensorBoard(folder="~/events"), MLflow(uri="~/runs"), WeightsAndBiases(folder="~/offline")]
)
def test_a_folder_may_be_in_the_home_directory(offer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip(offer.name, reason=f"the extra {offer.name} is not installed")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.chdir(tmp_path)
    observer = offer.make()
    observer.run_begun(BEGUN)
    observer.epoch_ended(EpochEnded(key="0123456789", about="baseline", number=0, values={"loss": 1.0}))
    observer.job_ended(JobEnded(key="0123456789", kind="fit", about="baseline", status="done"))
    assert [path.name for path in tmp_path.iterdir()] in (["events"], ["runs"], ["offline"])


def test_wandb_refuses_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(PermissionError, match="cannot be written"):
        WeightsAndBiases(folder=str(tmp_path)).make().run_begun(BEGUN)


def test_wandb_refuses_a_project_that_the_library_would_refuse() -> None:
    with pytest.raises(ParameterError, match="project = 'a/b'"):
        WeightsAndBiases(project="a/b")
