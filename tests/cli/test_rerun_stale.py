"""`--rerun-stale` after the code of a technique has changed: everything that it made is made again."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support import loss_source, main_result, records_of, suite_source

SUITE = suite_source("stale", {"steps": 4, "batch_size": 16, "lr": 0.1, "precision": "fp32"}, figures=[])
CHANGED = "2 * (1 - logits.softmax(1).gather(1, labels[:, None])[:, 0])"


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "mine.py"


def run(capsys: pytest.CaptureFixture[str], plugin: Path, store: str, names: str, *args: str) -> str:
    Path("stale.toml").write_text(SUITE)
    command = ("run", "--suite", "stale.toml", "--plugins", names, "--plugin-file", str(plugin), "--store", store)
    code, _, err = main_result(capsys, *command, "--executor", "inline", *args)
    assert code == 0, err
    return err


def metrics() -> dict[str, dict[str, float]]:
    """Return the numbers of the page by cell, and remove it."""
    (file,) = Path("leaderboards/local").glob("*/records.jsonl")
    found = {record["id"]: record["metrics"] for record in records_of(file.parent)}
    shutil.rmtree("leaderboards")
    return found


def test_logits_of_a_training_that_is_rerun_are_computed_again(
    plugin: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plugin.write_text(loss_source("mine"))
    run(capsys, plugin, "one", "mine,tta")
    before = metrics()
    plugin.write_text(loss_source("mine", CHANGED))
    assert "2 cells were made by other versions of plugins" in run(capsys, plugin, "one", "mine,tta")
    assert metrics() == before
    err = run(capsys, plugin, "one", "mine,tta", "--rerun-stale")
    assert "to do: 1 training, 2 predictions, 2 cells to derive" in err
    again = metrics()
    run(capsys, plugin, "other", "mine,tta")
    assert again == metrics() != before


def test_a_view_that_was_computed_by_another_command_is_computed_again_too(
    plugin: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plugin.write_text(loss_source("mine"))
    run(capsys, plugin, "one", "mine,tta")
    metrics()
    plugin.write_text(loss_source("mine", CHANGED))
    # This plan does not have the cell with the view, whose logits are those of the first network.
    run(capsys, plugin, "one", "mine", "--rerun-stale")
    metrics()
    run(capsys, plugin, "one", "mine,tta", "--rerun-stale")
    again = metrics()
    run(capsys, plugin, "other", "mine,tta")
    assert again == metrics()
