"""A suite that holds images out, from its file to its page."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections import Counter
from pathlib import Path

import click
import numpy as np
import pytest
from PIL import Image
from support import call, registry_with, suite_source

from ltbench.cli import group
from ltbench.errors import SuiteError, UsageError
from ltbench.leaderboard.html.content import report_content
from ltbench.leaderboard.publish import load
from ltbench.planning.parts import make_plan
from ltbench.records.record import Record, plain_values
from ltbench.records.records_file import read_records_file
from ltbench.records.tuning_file import read_tuning
from ltbench.registry.registry import Registry
from ltbench.stages import Posthoc
from ltbench.store.store import Store
from ltbench.suite.suite import changed, read_suite
from ltbench_plugins.datasets import _folders

STEPS = {"steps": 20, "batch_size": 16, "lr": 0.1, "precision": "fp32"}


def run(folder: Path, *words: str) -> Path:
    """Run the suite of the folder into its store; return the folder of the page."""
    at = [f"--{option}={folder / name}" for option, name in (("store", "store"), ("leaderboards", "leaderboards"))]
    assert call("run", "--suite", folder / "held.toml", "--executor", "inline", *at, *words).return_value == 0
    return folder / "leaderboards" / "local" / "held"


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a suite with 10 % of the images held out was run."""
    folder = tmp_path_factory.mktemp("held")
    (folder / "held.toml").write_text(
        suite_source(
            "held", STEPS, imbalance_factors=[10, 600], models=["convnet[width=4]"], held_out=0.1,
            combinations=[
                ["tta", "tau_norm[tau=held_out]"], ["drw", "ens"], ["bagging[threshold=200]", "ncm"], ["temperature"], ["ncm"],
            ],
        )
    )  # fmt: skip
    run(folder)
    return folder


@pytest.fixture(scope="module")
def page(held: Path) -> Path:
    return held / "leaderboards" / "local" / "held"


def records(page: Path) -> list[Record]:
    return read_records_file(page / "records.jsonl").records


def test_every_record_has_the_metrics_of_held_out_images_beside_those_of_test_images(page: Path) -> None:
    for record in records(page):
        assert record.held_out.metrics.keys() == record.metrics.keys()
        support = record.held_out.per_class["support"]
        assert support == record.data["held_out"] == record.held_out.confusion.support.tolist()
        assert record.fits[0]["data"]["held_out"] == 0.1


def test_counts_are_those_after_holding_out(page: Path) -> None:
    counts = {r.setting.imbalance_factor: (r.data["counts"], r.data["held_out"]) for r in records(page)}
    assert counts[10.0][0] == [540, 418, 323, 250, 193, 149, 116, 90, 69, 54]
    assert counts[10.0][1] == [60, 46, 36, 28, 22, 17, 13, 10, 8, 6]
    # 600, 294, 144, 71, 34, 17, 8, 4, 2 and 1 images: the last class has none held out.
    assert counts[600.0][0] == [540, 265, 130, 64, 31, 15, 7, 3, 1, 1]
    assert counts[600.0][1] == [60, 29, 14, 7, 3, 2, 1, 1, 1, 0]


def test_the_page_and_the_report_say_what_is_held_out(held: Path, page: Path) -> None:
    report = report_content(load(page)).core
    facts = [fact for board in report["boards"] for table in board["tables"] for fact in table.facts]
    for text in ((page / "README.md").read_text(), "\n".join(facts)):
        assert "246 images held out of training" in text
        assert "246 images held out of training (" not in text
        assert "118 images held out of training (1 class has none)" in text


def test_tables_have_no_further_column_and_table_csv_has_them(page: Path) -> None:
    assert "held-out top-1" not in (page / "README.md").read_text()
    rows = list(csv.DictReader((page / "table.csv").read_text().splitlines()))
    by_label = {(row["techniques"], row["imbalance_factor"]): row for row in rows}
    for record in records(page):
        row = by_label[record.label, f"{record.setting.imbalance_factor:g}"]
        assert float(row["held_out.top1"]) == pytest.approx(record.held_out.metrics["top1"], abs=1e-6)
    assert {row["held_out"] for row in rows} == {"0.1"}


def test_rows_can_be_ranked_by_held_out_images(held: Path, tmp_path: Path) -> None:
    shutil.copytree(held, tmp_path / "held")
    local = tmp_path / "held" / "leaderboards" / "local"
    before = set(local.iterdir())
    run(tmp_path / "held", "--metric", "held_out.top1", "--imbalance-factors", "10")
    (page,) = set(local.iterdir()) - before
    assert "Ranked by top-1 accuracy on held-out images, as asked." in (page / "README.md").read_text()
    scores = {record.label: record.held_out.metrics["top1"] for record in records(page)}
    rows = list(csv.DictReader((page / "table.csv").read_text().splitlines()))
    assert [scores[row["techniques"]] for row in rows] == sorted(scores.values(), reverse=True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--metric", "held_out.top1", "--held-out", "0"), "metric 'held_out.top1' needs held-out images"),
        (("--metric", "held_out.nothing"), "unknown metric 'nothing'"),
    ],
)
def test_a_metric_that_cannot_rank_is_refused(held: Path, words: tuple[str, ...], message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        run(held, *words)


def test_export_has_numbers_of_both_splits(page: Path) -> None:
    exported = list(csv.DictReader(call("export", page, "--per-class").stdout.splitlines()))
    (record, *_) = records(page)
    mine = {row["metric"]: row["value"] for row in exported if row["cell"] == record.id and not row["class"]}
    assert float(mine["held_out.top1"]) == record.held_out.metrics["top1"]
    support = [
        float(row["value"])
        for row in exported
        if (row["cell"], row["metric"]) == (record.id, "held_out.per_class.support")
    ]
    assert support == record.data["held_out"]


def test_show_cell_lists_both(page: Path) -> None:
    (record, *_) = records(page)
    text = call("show-cell", record.id, "--records", page).stdout
    assert "metrics on held-out images" in text
    assert "per class, held-out images" in text
    assert "held out 0.1" in text


def test_a_second_run_gives_the_same_bytes(held: Path, page: Path, tmp_path: Path) -> None:
    (tmp_path / "held.toml").write_bytes((held / "held.toml").read_bytes())
    again = run(tmp_path)
    for name in ("table.csv", "effects.csv"):
        assert (again / name).read_bytes() == (page / name).read_bytes()
    for first, second in zip(records(page), records(again), strict=True):
        assert (first.id, first.metrics, first.held_out) == (second.id, second.metrics, second.held_out)


def test_every_number_follows_from_stored_predictions(held: Path, page: Path) -> None:
    call("export", page, "--predictions", "--store", held / "store")
    found = json.loads(call("verify", page, "--json", "--data-root", held / "data").stdout)
    assert found["recomputed"] == len(records(page))
    assert found["findings"] == []


def test_a_changed_number_on_held_out_images_is_found(held: Path, page: Path, tmp_path: Path) -> None:
    import msgspec

    from ltbench.records.record import seal

    call("export", page, "--predictions", "--store", held / "store", "--output", tmp_path)
    file = tmp_path / "records.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    cells = [line for line in lines if "held_out" in line]
    cells[0]["held_out"]["metrics"]["top1"] += 0.01
    cells[1]["held_out"]["confusion"][0][0] += 1
    cells[2]["data"]["held_out"][0] += 1
    file.write_bytes(b"".join(msgspec.json.encode(seal(cell)) + b"\n" for cell in cells))
    done = call("verify", file, "--data-root", held / "data")
    assert done.return_value == 1
    for what in ("held_out.top1", "confusion covers", "data.held_out is"):
        assert what in done.stdout + done.stderr


def test_a_cell_is_rerun_from_its_record(held: Path, page: Path, tmp_path: Path) -> None:
    at = ["--records", page, "--store", tmp_path / "store", "--executor", "inline"]
    for record in records(page):
        if "tau_norm" in record.label or "ncm" in record.label:
            done = call("run", "--cell", record.id, *at, "--json")
            again = json.loads(done.stdout)
            assert again["agreement"]["same"]
            assert again["record"]["held_out"]["metrics"] == record.held_out.metrics


def test_without_sharing_the_numbers_are_the_same(held: Path, page: Path, tmp_path: Path) -> None:
    at = [f"--{option}={tmp_path / name}" for option, name in (("store", "store"), ("leaderboards", "boards"))]
    words = ["--suite", held / "held.toml", "--executor", "inline", "--no-sharing", *at]
    assert call("run", *words).return_value == 0
    store = Store(tmp_path / "store")
    apart = {
        (made["setting"]["imbalance_factor"], made["combination"]["posthoc"], made["combination"]["ensemble"]): made
        for made in map(store.record, store.cells())
    }
    for record in records(page):
        place = record.setting.imbalance_factor, record.combination["posthoc"], record.combination["ensemble"]
        if record.combination["regime"] is None:
            assert apart[place]["held_out"]["metrics"] == record.held_out.metrics


def test_the_option_takes_the_place_of_the_share_of_the_suite(held: Path, tmp_path: Path) -> None:
    def plan(*words: str) -> dict:
        return json.loads(call("plan", "--suite", held / "held.toml", "--json", "--store", tmp_path, *words).stdout)

    assert plan()["data"][0]["held_out"] == {
        "exp": {"10": {"images": 246, "classes_without": 0}, "600": {"images": 118, "classes_without": 1}}
    }
    assert plan("--held-out", "0.5")["data"][0]["held_out"]["exp"]["10"]["images"] == 1226
    assert "held_out" not in plan("--held-out", "0")["data"][0]
    text = call("plan", "--suite", held / "held.toml", "--store", tmp_path, width=200).stdout
    assert "246 at factor 10, 118 at factor 600 (1 class has none) are held out of training" in text
    for share, kind in (("1", click.BadParameter), ("-0.1", click.BadParameter), ("nan", SuiteError)):
        with pytest.raises(kind):
            group(["plan", "--held-out", share], standalone_mode=False)


def test_a_run_with_another_share_has_a_page_and_a_command_of_its_own(held: Path, tmp_path: Path) -> None:
    at = [f"--store={tmp_path / 'store'}", f"--leaderboards={tmp_path / 'boards'}"]
    words = ["--imbalance-factors=10", "--plugins=tta", "--held-out=0.2", "--executor=inline"]
    assert call("run", "--suite", held / "held.toml", *words, *at).return_value == 0
    (made,) = (tmp_path / "boards" / "local").glob("held-*")
    assert "held-out0_2" in made.name
    text = (made / "README.md").read_text()
    assert "--held-out 0.2" in text
    assert "held_out 0.2" in text.splitlines()[0].replace("\\", "")


def test_records_of_other_shares_are_never_in_one_table(page: Path, tmp_path: Path) -> None:
    import copy

    from synthetic import identified

    from ltbench.leaderboard.statistics.record_groups import distinguishing_names, group_records, titles

    here = [record for record in records(page) if record.label == "baseline"]
    raw = copy.deepcopy(plain_values(here[0]))
    del raw["fits"][0]["data"]["held_out"], raw["held_out"]
    groups = group_records([*here, identified(raw)])
    assert len(groups) == 2
    assert sorted(distinguishing_names(groups)) == ["10 % held out", "nothing held out"]
    assert {title.rpartition(", ")[2] for title in titles(groups)} == {"10 % held out", "nothing held out"}


# --- a data set with a validation split -------------------------------------------------------------------------------


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of images in train/, test/ and val/; one class has no validation image."""
    rng = np.random.default_rng(0)
    for split, numbers in (("train", (20, 6)), ("test", (3, 3)), ("val", (4, 0))):
        for name, level, number in zip(("dark", "light"), (60, 160), numbers, strict=True):
            folder = tmp_path / "photos" / split / name
            folder.mkdir(parents=True)
            for place in range(number):
                pixels = rng.normal(level, 30, (8, 8, 3)).clip(0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{place}.png")
    return tmp_path / "photos"


def test_a_validation_split_is_held_out_from_the_plan_to_the_audit(photos: Path, tmp_path: Path) -> None:
    _folders._described.clear()
    data = ["--datasets", f"image_folder[path={photos},size=8]", "--models", "convnet[width=4]", "--seeds", "0"]
    words = [*data, "--plugins", "temperature", "--held-out", "0.5", "--set", "steps=4", "--set", "batch_size=8"]
    where = ["--data-root", tmp_path / "data", "--store", tmp_path / "store"]
    planned = call("plan", *words, *where, width=200).stdout
    assert "the 4 images of its own validation split are held out (1 class has none)" in planned
    assert call("run", *words, *where, "--executor", "inline", "--leaderboards", tmp_path / "boards").return_value == 0
    (page,) = (tmp_path / "boards" / "local").glob("quick-*")
    for record in records(page):
        assert record.data["counts"] == [20, 6]
        assert record.data["held_out"] == record.held_out.per_class["support"] == [4, 0]
    assert "4 images held out of training (1 class has none)" in (page / "README.md").read_text()
    call("export", page, "--predictions", "--store", tmp_path / "store")
    audit = ["verify", page, "--data-root", tmp_path / "data", "--json"]
    found = json.loads(call(*audit).stdout)
    assert (found["recomputed"], found["findings"]) == (2, [])
    shutil.rmtree(photos / "val")
    _folders._described.clear()
    found = json.loads(call(*audit).stdout)
    assert "unknown" in {finding["level"] for finding in found["findings"]}
    assert "the validation split of data set 'image_folder' has changed" in str(found["findings"])


def test_a_validation_split_decides_between_epochs_rows_and_values(photos: Path, tmp_path: Path) -> None:
    _folders._described.clear()
    text = suite_source(
        "own", {"epochs": 2, "batch_size": 8, "precision": "fp32"}, datasets=[f"image_folder[path={photos},size=8]"],
        profiles=["natural"], imbalance_factors=[1], models=["convnet[width=4]"], seeds=[0], techniques=["cb_sampler"],
        held_out=0.5, selection="best",
    )  # fmt: skip
    (tmp_path / "own.toml").write_text(text + "\n[tune]\ntrials = 2\n")
    where = ["--data-root", tmp_path / "data", "--store", tmp_path / "store", "--leaderboards", tmp_path / "boards"]
    done = call("search", tmp_path / "own.toml", *where, "--executor", "inline")
    assert done.return_value == 0, done.output
    page = tmp_path / "boards" / "local" / "own-search"
    for record in records(page):
        assert record.data["counts"] == [20, 6]
        assert record.data["held_out"] == [4, 0]
        assert record.curve["held_out"]["selected"] in record.curve["held_out"]["epoch"]
    text = (page / "README.md").read_text()
    assert "Trials were compared by balanced accuracy on the validation split, never on test images." in text
    assert "trained on the whole subset" in text
    (tuned,) = {row.held_out for row in read_tuning(page / "tuning.jsonl")}
    assert tuned == records(page)[0].fits[0]["data"]["held_out"]


# --- posthocs that are fitted -----------------------------------------------------------------------------------------


def test_what_a_posthoc_is_fitted_to_is_predicted_once_and_nothing_else_is(held: Path, tmp_path: Path) -> None:
    def predictions(*names: str) -> Counter[tuple[str, bool]]:
        registry = Registry.load()
        suite = changed(
            read_suite(held / "held.toml"), combinations=[[name] for name in names], imbalance_factors=[10], techniques=[],
        )  # fmt: skip
        specs = [job.spec for job in make_plan(suite, registry, tmp_path).of_kind("predict")]
        return Counter((spec["split"], spec.get("features", False)) for spec in specs)

    plain = {("test", False): 1, ("held_out", False): 1}
    assert predictions("logit_adjust_posthoc", "temperature", "tau_norm[tau=held_out]") == plain
    with_features = {("test", True): 1, ("held_out", True): 1, ("train", True): 1}
    assert predictions("ncm", "ncm[centred=true]", "temperature") == plain | with_features


def test_rows_fitted_to_held_out_images_have_a_note_and_others_have_none(page: Path) -> None:
    notes = {record.label: record.notes for record in records(page)}
    assert notes["temperature"] == ["temperature: fitted to the held-out images, so its metrics on them are too good"]
    assert notes["ncm"] == notes["baseline"] == []


def test_a_temperature_changes_no_class_and_has_the_lowest_loss_on_held_out_images(page: Path) -> None:
    by_label = {(r.label, r.setting.imbalance_factor): r for r in records(page)}
    for factor in (10.0, 600.0):
        plain, scaled = by_label["baseline", factor], by_label["temperature", factor]
        assert scaled.confusion == plain.confusion
        assert scaled.held_out.metrics["nll"] < plain.held_out.metrics["nll"]


def test_without_held_out_images_a_posthoc_that_needs_them_is_left_out_with_the_reason(
    held: Path, tmp_path: Path
) -> None:
    words = ["plan", "--suite", held / "held.toml", "--held-out", "0", "--json", "--store", tmp_path]
    plan = json.loads(call(*words).stdout)
    assert any(note.startswith("left out: temperature is fitted to held-out images") for note in plan["notes"])
    left_out = {out["combination"]: out["reason"] for out in plan["left_out"]}
    assert set(left_out) == {"temperature", "tta + tau_norm[tau=held_out]"}
    assert (
        "temperature is fitted to held-out images, and none are held out: use --held-out 0.1" in left_out["temperature"]
    )


class Transductive(Posthoc, frozen=True):
    """Take the mean of all test images off. Source: none."""

    name = "of_all_test_images"
    transductive = True

    def adjust(self, logits, counts):
        return logits - logits.mean(0)


def test_rows_of_a_transductive_posthoc_are_marked(held: Path, tmp_path: Path) -> None:
    suite = changed(read_suite(held / "held.toml"), combinations=[[Transductive.name]], techniques=[], held_out=0)
    cell = make_plan(suite, registry_with(Transductive), tmp_path).cells[-1]
    assert cell.extra["notes"] == ["of_all_test_images: transductive, as it looks at all test images (without labels)"]
