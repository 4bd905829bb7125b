"""A metric that is installed after cells are done is derived from their logits; one that fails costs nothing else."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support import main_result, records_of, suite_source

from ltbench.errors import CELLS_FAILED

METRIC = '''
"""A metric for tests."""
from ltbench import Column, Metric, hookimpl


class Later(Metric, frozen=True):
    """A number. Source: none."""

    name = "later"
    revision = {revision}
    columns = (Column(name="later", title="Later", shown="main"),)

    def compute(self, probabilities, labels, counts):
        {body}


@hookimpl
def ltbench_metrics():
    return [Later]
'''
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command on a suite of two cells that share a training of one step."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LTBENCH_STORE", "store")
    recipe = {"steps": 1, "batch_size": 4, "precision": "fp32"}
    Path("two.toml").write_text(suite_source("two", recipe, techniques=["tta"], figures=[]))
    assert main_result(capsys, "run", "--suite", "two.toml", "--executor", "inline")[0] == 0

    def call(*args: str, command: str = "run") -> tuple[int, str, str]:
        inline = ["--executor", "inline"] if command == "run" else []
        return main_result(capsys, command, "--suite", "two.toml", *inline, *args)

    return call


def plugin(body: str = 'return {"later": 0.5}', revision: int = 1, folder: str = "one") -> list[str]:
    path = Path(folder) / "later.py"
    path.parent.mkdir(exist_ok=True)
    path.write_text(METRIC.format(body=body, revision=revision))
    return ["--plugin-file", str(path)]


def numbers(record: dict) -> dict:
    return {key: value for key, value in record.items() if key not in ("plugins", "digest", "failed_metrics")}


def published() -> dict[str, dict]:
    return {record["id"]: record for record in records_of(Path("leaderboards/local/two"))}


def test_a_metric_that_is_added_later_is_derived_without_training(run: Run) -> None:
    before = published()
    code, out, _ = run(*plugin(), command="plan")
    assert (code, "metrics     2 cells lack metric 'later': will be derived without training" in out) == (0, True)
    assert "to train    0 of 1" in out
    code, _, err = run(*plugin())
    assert code == 0
    assert "2 cells lack metric 'later': will be derived without training" in err
    assert "0 trainings, 0 predictions, 2 cells to derive" in err
    after = published()
    for cell, record in after.items():
        assert record["metrics"].pop("later") == 0.5
        assert numbers(record) == numbers(before[cell])
    page = Path("leaderboards/local/two/README.md").read_text()
    assert "Missing metrics" not in page
    assert " Later |" in page.replace("\u00a0", " ")
    assert "lack metric" not in run(*plugin())[2], "it is there now"
    assert "lack metric" not in run()[2], "a metric that is removed is not missed"
    assert all("later" in record["metrics"] for record in published().values())
    assert "2 cells lack metric 'later' (revision 2): will be derived" in run(*plugin(revision=2, folder="two"))[2]


def test_what_cannot_be_derived_is_said_and_trained_again_only_if_asked(run: Run) -> None:
    for logits in Path("store/jobs").glob("*/*/logits.safetensors"):
        # One of the two cells reads the prediction under more than one view.
        if json.loads((logits.parent / "meta.json").read_text())["spec"]["view"] != "identity":
            shutil.rmtree(logits.parent)
    code, out, _ = run(*plugin(), "--json", command="plan")
    facts = json.loads(out)
    assert [list(missing.values()) for missing in facts["metrics_to_derive"].values()] == [[""]]
    assert len(facts["metrics_missing"]) == 1
    code, _, err = run(*plugin())
    assert code == 0
    assert "1 cell lacks metric 'later': will be derived without training" in err
    assert (
        "metric 'later' is missing from 1 cell whose logits were pruned or have changed; use --rerun-stale to recompute them"
        in err
    )
    assert "0 trainings, 0 predictions, 1 cell to derive" in err
    page = Path("leaderboards/local/two/README.md").read_text()
    assert "metric 'later' is missing from 1 cell, which was made without it\n  - tta at imbalance factor 10" in page
    assert run(*plugin(), "--rerun-stale")[0] == 0
    assert all("later" in record["metrics"] for record in published().values())
    assert "Missing metrics" not in Path("leaderboards/local/two/README.md").read_text()


def test_a_metric_that_fails_costs_its_own_column_and_the_exit_code(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    before = published()
    broken = plugin('raise RuntimeError("no luck")')
    code, out, err = run(*broken)
    assert code == CELLS_FAILED
    assert "metric 'later' failed in 2 cells" in err
    assert "raised RuntimeError: no luck" in err
    assert "n/a metric 'later' failed in 2 cells" in " ".join(out.split())
    after = published()
    assert {cell: numbers(record) for cell, record in after.items()} == {c: numbers(r) for c, r in before.items()}
    page = Path("leaderboards/local/two/README.md").read_text()
    assert "metric 'later' failed in 2 cells" in page
    assert 'raise RuntimeError("no luck")' in page
    cell = next(iter(before))
    shown = main_result(capsys, "show-cell", cell, "--records", "store")[1]
    assert "metrics that failed\n  later  metric 'later' of file:later" in shown
    assert 'raise RuntimeError("no luck")' in main_result(capsys, "show-cell", cell, "--records", "store", "--log")[1]
    code, out, _ = run(*broken, "--json")
    assert (code, list(json.loads(out)["failed_metrics"])) == (CELLS_FAILED, ["later"])
    assert "0 cells to derive" in run(*broken, "--keep-failed")[2]
    assert run(*broken, "--keep-failed")[0] == CELLS_FAILED
    assert run()[0] == 0, "without the plugin nothing fails"
    code, _, err = run(*plugin(folder="three"))
    assert (code, "2 cells lack metric 'later' (failed before): will be derived" in err) == (0, True)
    assert all(record["metrics"]["later"] == 0.5 for record in published().values())
    assert "failed" not in Path("leaderboards/local/two/README.md").read_text().partition("<details>")[0]
