"""A suite that selects epochs, from its file to its page and its rerun."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from support import call, suite_source

from ltbench.core.spec import Job
from ltbench.records.record import Record
from ltbench.records.records_file import read_records_file
from ltbench.store.store import Store

RECIPE = {"epochs": 6, "batch_size": 16, "lr": 0.2, "schedule": "constant", "precision": "fp32"}


@pytest.fixture(scope="module")
def selected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a suite was run with the best epoch, and with the last one."""
    folder = tmp_path_factory.mktemp("selected")
    for selection in ("best", "last"):
        (folder / f"{selection}.toml").write_text(
            suite_source(
                selection, RECIPE, imbalance_factors=[100], models=["convnet[width=4]"], seeds=[0, 1, 2], held_out=0.3,
                combinations=[["cb_sampler"], ["logit_adjust_posthoc"], ["bagging[threshold=300]"]], selection=selection,
            )
        )  # fmt: skip
        done = call("run", "--suite", folder / f"{selection}.toml", "--executor", "inline", *places(folder), "--json")
        (folder / f"{selection}.json").write_text(done.stdout)
    return folder


def places(folder: Path) -> list[str]:
    return [f"--{option}={folder / name}" for option, name in (("store", "store"), ("leaderboards", "leaderboards"))]


def records(folder: Path, selection: str) -> list[Record]:
    return read_records_file(folder / "leaderboards" / "local" / selection / "records.jsonl").records


def test_records_have_the_held_out_curve_and_the_chosen_epoch(selected: Path) -> None:
    for record in records(selected, "best"):
        curve = record.curve["held_out"]
        assert curve["number"] == "balanced_accuracy"
        assert curve["epoch"] == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
        best = max(curve["score"])
        assert curve["selected"] == curve["epoch"][curve["score"].index(best)]
        if record.label == "baseline":
            # With one network and one view, the record has the number that chose it.
            assert record.held_out.metrics["balanced_accuracy"] == pytest.approx(best, abs=1e-12)
    chosen = {record.curve["held_out"]["selected"] for record in records(selected, "best")}
    assert chosen != {6.0}, "with a constant rate some training is best before its end"


def test_the_last_epoch_is_that_of_the_same_training(selected: Path) -> None:
    store = Store(selected / "store")
    best = {(r.label, r.seeds): r for r in records(selected, "best")}
    for record in records(selected, "last"):
        mine = best[record.label, record.seeds]
        for key, fit, chosen in zip(record.spec["members"], record.fits, mine.fits, strict=True):
            assert {name: value for name, value in chosen.items() if name != "selection"} == fit
            assert store.has(key)
        assert mine.cost["samples"] == record.cost["samples"], "the whole training is paid"
        if mine.curve["held_out"]["selected"] == 6.0 and len(record.fits) == 1:
            assert mine.metrics == record.metrics
    # Training both ways cost no training more than one way.
    assert json.loads((selected / "last.json").read_text())["executed"]["fit"] == 0


def test_the_choice_reads_held_out_predictions_alone(selected: Path) -> None:
    from ltbench.planning.selection import selection_jobs

    for record in records(selected, "best"):
        for spec in record.fits:
            *predictions, select = selection_jobs(spec)
            assert {job.spec["split"] for job in predictions} == {"held_out"}
            assert set(select.reads) == {key for job in predictions for key in (job.key, *job.parents)}


def test_a_cell_is_rerun_bit_for_bit_elsewhere(selected: Path, tmp_path: Path) -> None:
    record = next(r for r in records(selected, "best") if r.label == "logit_adjust_posthoc")
    page = selected / "leaderboards" / "local" / "best"
    done = call("run", "--cell", record.id, "--records", page, "--executor", "inline", *places(tmp_path))
    assert "All numbers are bit-identical." in done.stdout


def test_the_selection_is_on_another_board(selected: Path) -> None:
    boards = {record.board for side in ("best", "last") for record in records(selected, side)}
    assert len(boards) == 2


def test_pages_say_how_epochs_are_selected(selected: Path, tmp_path: Path) -> None:
    local = selected / "leaderboards" / "local"
    said = "Each network is that of the epoch with the best balanced accuracy on held-out images."
    assert said in (local / "best" / "README.md").read_text()
    assert said not in (local / "last" / "README.md").read_text()
    assert call("merge", local / "best", local / "last", "--into", tmp_path / "both").exit_code == 0
    headings = re.findall(r"^## fashion_mini.*$", (tmp_path / "both" / "README.md").read_text(), re.MULTILINE)
    assert {heading.removesuffix(": details").split(", ")[-1] for heading in headings} == {
        "epoch with the best balanced_accuracy",
        "last epoch",
    }


def test_a_training_whose_held_out_number_is_undefined_fails_by_name(selected: Path, tmp_path: Path) -> None:
    """Planted: what the job is given are predictions without any label that has a score."""
    from ltbench.errors import JobFailed
    from ltbench.executor import Context
    from ltbench.jobs import select
    from ltbench.registry.registry import Registry

    record = next(r for r in records(selected, "best") if r.label == "baseline")
    store = Store(selected / "store")
    *_, job = _jobs(record)
    before = store.meta(job.key)
    assert before["chosen"] in job.parents[::2]
    context = Context(store=store, registry=Registry.load(), data_root=tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(select, "_score", lambda *_: None)
        with pytest.raises(JobFailed, match="no epoch can be selected: balanced_accuracy is undefined"):
            select.select(job, context)


def _jobs(record: Record) -> list[Job]:
    from ltbench.planning.selection import selection_jobs

    return list(selection_jobs(record.fits[0]))


def test_equal_scores_select_the_earliest_epoch(selected: Path, tmp_path: Path) -> None:
    from ltbench.executor import Context
    from ltbench.jobs import select
    from ltbench.registry.registry import Registry

    record = next(r for r in records(selected, "best") if r.label == "baseline")
    store = Store(selected / "store")
    *_, job = _jobs(record)
    scores = dict(zip(job.parents[::2], [0.1, 0.4, None, 0.4, 0.2, 0.3], strict=True))
    before = store.meta(job.key)
    store.discard(job.key)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(select, "_score", lambda _job, fit, *_: scores[fit])
        select.select(job, Context(store=store, registry=Registry.load(), data_root=tmp_path))
    meta = store.meta(job.key)
    assert meta["chosen"] == job.parents[2]
    assert meta["curve"]["held_out"]["score"] == [0.1, 0.4, None, 0.4, 0.2, 0.3]
    store.discard(job.key)
    select.select(job, Context(store=store, registry=Registry.load(), data_root=tmp_path))
    assert store.meta(job.key)["chosen"] == before["chosen"]
