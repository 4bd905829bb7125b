"""`ltbench recommend`, from photos to the answer, the page and the model; the network only pretends to be pretrained."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from PIL import Image
from support import call, suite_source

import ltbench
from ltbench.cli.running import steps
from ltbench.cli.running.finetuning import FineTuning
from ltbench.cli.running.recommending import _leaders
from ltbench.errors import DataError, Interrupted, JobFailed, LtbenchError, UsageError
from ltbench.records.search_file import SearchedRow

PLUGIN = Path(__file__).with_name("pretend_pretrained.py")
RECIPE = {"steps": 12, "batch_size": 16, "lr": 0.1, "weight_decay": 0.001, "precision": "fp32"}
COUNTS = {"ant": 30, "bee": 12, "cow": 5}
"""Photos of each class."""
TWO_FOLDS = ("--folds", 2)
WATCH = '''
"""Writes the kinds of events."""
from pathlib import Path
from ltbench import Observer, ObserverOffer, hookimpl

class Kinds(ObserverOffer):
    """Write the kinds of events."""
    name = "kinds"
    file: str = ""
    def make(self):
        return Lines(self.file)

class Lines(Observer):
    def __init__(self, file):
        self.file = file
    def note(self, event):
        with Path(self.file).open("a") as file:
            file.write(type(event).__name__ + "\\n")
    run_begun = job_begun = epoch_ended = job_ended = cell_recorded = page_written = run_ended = note

@hookimpl
def ltbench_observers():
    return [Kinds]
'''


def write_photos(folder: Path, counts: dict[str, int] | None = None, *, seed: int = 0, step: float = 35) -> Path:
    """Write photos of which each class is brighter by `step` than the one before, with much noise."""
    rng = np.random.default_rng(seed)
    for place, (name, number) in enumerate((counts or COUNTS).items()):
        (folder / name).mkdir(parents=True)
        for n in range(number):
            pixels = rng.normal(90 + step * place, 40, (16, 16, 3)) + rng.normal(0, 30, (1, 1, 3))
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / name / f"{name}{n // 2}_{n}.png")
    return folder


def words(folder: Path, photos: Path, *others: object, budget: str = "60s", **fields: object) -> list[object]:
    """Return the words of a command that recommends with a small suite of its own."""
    given = {
        "profiles": ["natural"], "imbalance_factors": [1], "models": ["pretend[frozen=true]"], "seeds": [0, 1],
        "techniques": ["cb_sampler", "logit_adjust_posthoc"], "held_out": 0.25, "subset_seeds": "seed",
    }  # fmt: skip
    folder.mkdir(exist_ok=True)
    (folder / "mine.toml").write_text(suite_source("mine", RECIPE, **(given | fields)))
    places = [f"--{option}={folder / name}" for option, name in (("store", "store"), ("leaderboards", "boards"))]
    return ["recommend", photos, "--suite", folder / "mine.toml", "--plugin-file", PLUGIN, "--size", 16, "--executor", "inline",
            "--budget", budget, *places, *others]  # fmt: skip


def recommend(folder: Path, photos: Path, *others: object, **fields: Any) -> Result:
    return call(*words(folder, photos, *others, **fields))


def page_of(folder: Path, name: str = "photos") -> str:
    return (folder / "boards" / "local" / name / "RECOMMENDATION.md").read_text()


def difference(page: str, row: str) -> tuple[float, float, float]:
    """Return the difference of a row to plain training on a page, and the ends of its interval."""
    (found,) = re.findall(rf"^\| {re.escape(row)} \|.*\| ([-+.\d]+) \[([-+.\d]+), ([-+.\d]+)\] \|$", page, re.MULTILINE)
    return float(found[0]), float(found[1]), float(found[2])


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    folder = tmp_path_factory.mktemp("recommended")
    (folder / "watch.py").write_text(WATCH)
    watch = ("--plugin-file", folder / "watch.py", "--observe", f"kinds[file={folder / 'kinds.txt'}]")
    return folder, recommend(folder, write_photos(folder / "photos"), *TWO_FOLDS, *watch)


# --- the answer -----------------------------------------------------------------------------------------------------


def test_the_answer_is_short_and_says_what_it_is_about(done: tuple[Path, Result]) -> None:
    lines = done[1].stdout.splitlines()
    assert len(lines) <= 10
    assert lines[0] == "47 images of 3 classes, 30 of the largest and 5 of 'cow', on features of pretend[frozen=true]"
    assert lines[1].startswith("use: ")
    assert any(line.startswith("difference: ") for line in lines)


def test_observers_watch_all_steps_as_one_run(done: tuple[Path, Result]) -> None:
    kinds = (done[0] / "kinds.txt").read_text().split()
    assert (kinds[0], kinds[-1]) == ("RunBegun", "RunEnded")
    assert kinds.count("RunBegun") == kinds.count("RunEnded") == 1
    records = [path.read_text().splitlines() for path in (done[0] / "boards" / "local").glob("*/records.jsonl")]
    assert kinds.count("CellRecorded") >= len(set().union(*records)) > 0
    assert {"EpochEnded", "PageWritten"} <= set(kinds)


def test_page_and_html_say_the_same(done: tuple[Path, Result]) -> None:
    folder, result = done
    text = page_of(folder)
    for line in result.stdout.splitlines():
        assert line in text.replace("\\", "")
    html = (folder / "boards" / "local" / "photos" / "recommendation.html").read_text()
    assert html.count("<tr>") == sum(line.startswith("|") and "|--" not in line for line in text.splitlines())


def test_in_python_the_answer_page_and_model_are_those_of_the_command(
    done: tuple[Path, Result], tmp_path: Path
) -> None:
    folder, result = done
    found = ltbench.recommend(
        folder / "photos", suite=folder / "mine.toml", plugin_files=PLUGIN, size=16, executor="inline", budget="60s", folds=2,
        store=folder / "store", leaderboards=tmp_path / "boards",
    )  # fmt: skip
    assert f"{found}\n" == result.stdout
    assert found.page == tmp_path / "boards" / "local" / "photos" / "RECOMMENDATION.md"
    assert found.page.read_text() == page_of(folder)
    theirs, ours = (path / "boards" / "local" / "photos" / "model" for path in (folder, tmp_path))
    assert found.model == ours
    assert (ours / "model.safetensors").read_bytes() == (theirs / "model.safetensors").read_bytes()
    assert found.combination in str(found)
    shown = (found.page.parent / "README.md").read_text()
    assert (
        f"ltbench recommend {folder / 'photos'} --folds 2 --budget 60s --size 16 --suite {folder / 'mine.toml'}"
        in shown
    )
    with pytest.raises(UsageError, match="'soon' is not a duration"):
        ltbench.recommend(folder / "photos", budget="soon")


def test_every_image_is_tested_once(done: tuple[Path, Result]) -> None:
    rows = re.findall(r"^\| (\w+) \| (\d+) \| (\d+) \|", page_of(done[0]), re.MULTILINE)
    assert {name: (int(images), int(tested)) for name, images, tested in rows} == {
        name: (count, count) for name, count in COUNTS.items()
    }


def test_the_model_is_trained_on_all_images_and_claims_nothing_about_itself(done: tuple[Path, Result]) -> None:
    folder, result = done
    model = folder / "boards" / "local" / "photos" / "model"
    about = json.loads((model / "model.json").read_text())
    assert about["counts"] == list(COUNTS.values())
    assert about["metrics"] == {}
    card = (model / "README.md").read_text()
    assert "In a cross-validation with 2 folds, what was chosen in this way had a balanced accuracy of" in card
    assert "Nothing was measured on this model" in card
    assert "ltbench predict" in result.stderr
    photos = sorted((folder / "photos").glob("*/*.png"))
    said = call("predict", model, *photos, "--csv", folder / "labels.csv", "--plugin-file", PLUGIN)
    assert said.return_value in (None, 0)
    labels = [row["label"] for row in csv.DictReader((folder / "labels.csv").read_text().splitlines())]
    assert np.mean([label == photo.parent.name for label, photo in zip(labels, photos, strict=True)]) > 0.6


def test_fine_tuning_is_chosen_by_images_held_out_of_each_fold(done: tuple[Path, Result]) -> None:
    (better,) = re.findall(
        r"Fine-tuning the whole network was better on held-out images in (\d) of 2 folds\.", page_of(done[0])
    )
    chosen = re.findall(r"^\| \d \| (.*) \|$", page_of(done[0]), re.MULTILINE)
    assert sum("(fine-tuned)" in row for row in chosen) == int(better)


@pytest.mark.slow
def test_fine_tuning_without_time_is_not_tried_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = write_photos(tmp_path / "photos")
    run = FineTuning.run
    monkeypatch.setattr(FineTuning, "run", lambda self, steps, end: run(self, steps, float("-inf")))
    recommend(tmp_path, photos, *TWO_FOLDS)
    assert re.search(r"Fine-tuning was not tried: it would take about \d+ s, and 0 s of the budget were left\.", page_of(tmp_path))  # fmt: skip
    monkeypatch.undo()
    recommend(tmp_path, photos, *TWO_FOLDS, "--no-fine-tune", "--no-export")
    assert "Fine-tuning" not in page_of(tmp_path)


# --- what is compared -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [3, 4])
def test_chance_promises_nothing(tmp_path: Path, seed: int) -> None:
    """Classes that nothing tells apart: what each fold chose is no better than chance, whatever was best by chance."""
    counts = {"ant": 40, "bee": 40, "cow": 40}
    photos = write_photos(tmp_path / "photos", counts, seed=seed, step=0)
    recommend(tmp_path, photos, *TWO_FOLDS, "--no-export", "--no-fine-tune", "--metric", "balanced_accuracy")
    page = page_of(tmp_path)
    # A third, and four standard errors of 120 guesses.
    (score,) = re.findall(r"^\| the choice of each fold \| ([\d.]+) \[", page, re.MULTILINE)
    assert abs(float(score) - 100 / 3) < 4 * 100 * np.sqrt(2 / 9 / 120)
    low, high = difference(page, "the choice of each fold")[1:]
    assert low <= 0 <= high
    assert "which may be chance: plain training may be as good" in page or "- use: plain training, as nothing" in page


@pytest.mark.slow
def test_costs_decide_what_is_compared_and_how_decisions_are_made(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", {"ant": 40, "cow": 14}, step=12)
    (tmp_path / "costs.csv").write_text(",ant,cow\nant,0,1\ncow,30,0\n")
    done = recommend(
        tmp_path, photos, *TWO_FOLDS, "--cost", tmp_path / "costs.csv", "--no-fine-tune", techniques=["cb_sampler"]
    )
    assert "expected cost of what each fold chose" in done.stdout
    page = page_of(tmp_path)
    assert "min_cost" in page.partition("## What each fold chose")[2]
    # Missing a cow costs thirty times as much as a false alarm: far less, if decisions know it.
    assert difference(page, "the choice of each fold")[0] < 0
    rows = re.findall(r"^\| .* \| ([\d.]+) \[", page.partition("## What each")[0], re.MULTILINE)
    assert [float(row) for row in rows] == sorted(map(float, rows))


@pytest.mark.slow
def test_another_metric_is_compared_and_named(tmp_path: Path) -> None:
    done = recommend(tmp_path, write_photos(tmp_path / "photos"), *TWO_FOLDS, "--metric", "macro_f1", "--no-export")
    assert re.search(r"^macro[ -]?F1 of what each fold chose", done.stdout, re.MULTILINE | re.IGNORECASE)


# --- where the images are -------------------------------------------------------------------------------------------


def test_test_images_of_their_own_stay_apart(tmp_path: Path) -> None:
    photos, test = (
        write_photos(tmp_path / "photos"),
        write_photos(tmp_path / "others", {"ant": 6, "bee": 6, "cow": 6}, seed=1),
    )
    said = recommend(tmp_path, photos, "--test", test, "--no-fine-tune").output
    assert "47 training images of 3 classes, 30 of the largest and 5 of 'cow', and 18 test images, on" in said
    assert re.findall(r"^\| (\w+) \| (\d+) \| (\d+) \|", page_of(tmp_path), re.MULTILINE) == [
        ("ant", "30", "6"), ("bee", "12", "6"), ("cow", "5", "6")
    ]  # fmt: skip
    about = json.loads((tmp_path / "boards" / "local" / "photos" / "model" / "model.json").read_text())
    assert about["counts"] == list(COUNTS.values())


def test_a_part_is_held_out_on_request(tmp_path: Path) -> None:
    recommend(tmp_path, write_photos(tmp_path / "photos"), "--holdout", 0.4, "--no-fine-tune", "--no-export")
    assert re.findall(r"^\| (\w+) \| (\d+) \| (\d+) \|", page_of(tmp_path), re.MULTILINE) == [
        ("ant", "18", "12"), ("bee", "7", "5"), ("cow", "3", "2")
    ]  # fmt: skip


@pytest.mark.slow
def test_a_list_of_files_gives_the_answer_of_the_folder(tmp_path: Path, done: tuple[Path, Result]) -> None:
    photos = write_photos(tmp_path / "photos")
    lines = [f"{path.relative_to(tmp_path)},{path.parent.name}" for path in sorted(photos.glob("*/*.png"))]
    (tmp_path / "photos.csv").write_text("\n".join(["path,label", *lines]))
    listed = recommend(tmp_path, tmp_path / "photos.csv", *TWO_FOLDS)
    assert listed.stdout == done[1].stdout


@pytest.mark.slow
def test_images_of_a_group_are_tested_together(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos")
    done = recommend(tmp_path, photos, *TWO_FOLDS, "--groups", r"[a-z]+\d+_", "--no-fine-tune", "--no-export")
    assert "groups: " in done.stderr
    records = (tmp_path / "boards" / "local" / "photos" / "records.jsonl").read_text()
    assert "groups=[a-z]+" in records.replace("\\\\", "\\")


def cannot(tmp_path: Path, *others: object, kind: type[Exception] = UsageError, **fields: object) -> str:
    photos = tmp_path / "photos"
    with pytest.raises(kind) as error:
        recommend(tmp_path, photos if photos.exists() else write_photos(photos), *others, **fields)
    assert not (tmp_path / "boards").exists()
    return str(error.value)


# --- again, with other images ---------------------------------------------------------------------------------------

SHORT = (*TWO_FOLDS, "--no-fine-tune")


def rows_of(page: str) -> dict[str, str]:
    """Return the scores of a page, by row."""
    found = re.findall(r"^\| ([^|]+) \| ([-\d.]+ \[[^|]*\]) \|", page, re.MULTILINE)
    return dict(found)


@pytest.mark.slow
def test_a_page_has_no_numbers_of_photos_that_have_changed(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos")
    recommend(tmp_path, photos, *SHORT)
    rng = np.random.default_rng(5)
    for path in photos.glob("*/*.png"):
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(path)
    again = recommend(tmp_path, photos, *SHORT)
    assert re.search(r"\d+ records of images that have changed since are removed from the page", again.stderr)
    fresh = tmp_path / "fresh"
    recommend(fresh, photos, *SHORT)
    assert rows_of(page_of(tmp_path)) == rows_of(page_of(fresh))


@pytest.mark.slow
@pytest.mark.parametrize("what", ["added", "removed"])
def test_photos_may_be_added_and_removed_between_runs(what: str, tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos")
    if what == "added":
        late = [photos / "bee" / f"bee{n // 2}_{n}.png" for n in (8, 9, 10, 11)]
        kept = [path.rename(tmp_path / path.name) for path in late]
    recommend(tmp_path, photos, *SHORT, "--no-export")
    if what == "added":
        for path, place in zip(kept, late, strict=True):
            path.rename(place)
    else:
        for n in (0, 1, 2, 3):
            (photos / "ant" / f"ant{n // 2}_{n}.png").unlink()
    recommend(tmp_path, photos, *SHORT, "--no-export")
    fresh = tmp_path / "fresh"
    recommend(fresh, photos, *SHORT, "--no-export")
    assert rows_of(page_of(tmp_path)) == rows_of(page_of(fresh))


@pytest.mark.slow
def test_nothing_of_another_folder_stays_beside_its_page(tmp_path: Path) -> None:
    recommend(tmp_path, write_photos(tmp_path / "photos"), *SHORT)
    model = tmp_path / "boards" / "local" / "photos" / "model"
    assert model.is_dir()
    other = write_photos(tmp_path / "other" / "photos", {"ant": 20, "cow": 10}, seed=2)
    said = recommend(tmp_path, other, *SHORT, "--no-export").stderr
    assert f"removed: {model}, of another run" in said
    assert not model.exists()
    assert "bee" not in page_of(tmp_path)


@pytest.mark.parametrize("wrong", [("--metric", "nonsense"), ("--cost", "ant>wasp:5")])
def test_what_is_compared_is_checked_before_a_page_is_touched(
    wrong: tuple[str, str], tmp_path: Path, done: tuple[Path, Result]
) -> None:
    place = tmp_path / "copy"
    shutil.copytree(done[0], place)
    before = {path: path.read_bytes() for path in (place / "boards").rglob("*") if path.is_file()}
    with pytest.raises(LtbenchError, match=r"nonsense|wasp"):
        recommend(place, place / "photos", *TWO_FOLDS, *wrong)
    assert before == {path: path.read_bytes() for path in (place / "boards").rglob("*") if path.is_file()}


def test_plain_training_leads_no_race_that_it_ran_alone() -> None:
    def row(combination: str, cells: int) -> SearchedRow:
        state = "in the lead" if cells else "never run"
        return SearchedRow(combination=combination, board="photos, natural, net", state=state, cells=cells, is_best=combination == "baseline")  # fmt: skip

    assert _leaders([row("baseline", 2), row("ens", 0)], ["photos"]) == {"photos": []}
    assert _leaders([row("baseline", 2), row("ens", 1)], ["photos"]) == {"photos": ["baseline", "ens"]}


def test_if_plain_training_fails_the_error_is_that_of_it(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos")
    with pytest.raises(JobFailed, match="plain training failed") as raised:
        recommend(tmp_path, photos, *SHORT, models=["absent[frozen=true]"])
    assert "no weights here" in str(raised.value)


def test_images_that_are_divided_already_are_not_divided_again(tmp_path: Path) -> None:
    for split, seed in (("train", 0), ("test", 1)):
        write_photos(tmp_path / "photos" / split, seed=seed)
    for option in (("--holdout", 0.2), ("--folds", 3), ("--test", tmp_path / "photos" / "test")):
        with pytest.raises(UsageError, match=f"{option[0]} has no effect"):
            recommend(tmp_path, tmp_path / "photos", *option)


def test_options_that_would_do_nothing_are_errors(tmp_path: Path) -> None:
    test = write_photos(tmp_path / "others")
    assert "--test and --holdout both say what the test images are" in cannot(
        tmp_path, "--test", test, "--holdout", 0.2
    )
    assert "--test and --folds both say" in cannot(tmp_path, "--test", test, "--folds", 3)
    assert "--cost and --metric both say" in cannot(tmp_path, "--cost", "ant>bee:3", "--metric", "top1")
    assert "--groups has no effect" in cannot(tmp_path, "--test", test, "--groups", r"\d")


def test_unknown_classes_of_costs_and_models_without_weights_are_errors(tmp_path: Path) -> None:
    assert "emu" in cannot(tmp_path, "--cost", "emu>bee:3")
    assert "model 'convnet' has no pretrained weights" in cannot(tmp_path, "--model", "convnet")
    (tmp_path / "notes.pdf").write_bytes(b"%PDF")
    with pytest.raises(DataError, match="is not a path and a label"):
        recommend(tmp_path, tmp_path / "notes.pdf")


# --- interruptions --------------------------------------------------------------------------------------------------


def stops_after(calls: int, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that is interrupted at a later call."""
    left = iter(range(calls))

    def stopping(*args: Any, **named: Any) -> Any:
        if next(left, None) is None:
            raise Interrupted("stopped")
        return function(*args, **named)

    return stopping


@pytest.mark.slow
def test_stopped_between_any_two_steps_it_goes_on(tmp_path: Path, done: tuple[Path, Result], monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    photos = write_photos(tmp_path / "photos")
    for calls in range(3):
        monkeypatch.setattr(steps, "run_parts", stops_after(calls, steps.run_parts))
        with pytest.raises(Interrupted):
            recommend(tmp_path, photos, *TWO_FOLDS)
        monkeypatch.undo()
    for calls in range(0, 7, 2):
        monkeypatch.setattr(steps, "run", stops_after(calls, steps.run))
        with pytest.raises(Interrupted):
            recommend(tmp_path, photos, *TWO_FOLDS)
        monkeypatch.undo()
    assert recommend(tmp_path, photos, *TWO_FOLDS).stdout == done[1].stdout
    assert page_of(tmp_path) == page_of(done[0])


@pytest.mark.slow
def test_killed_at_any_moment_it_goes_on(tmp_path: Path, done: tuple[Path, Result]) -> None:
    photos = write_photos(tmp_path / "photos")
    command = [sys.executable, "-m", "ltbench", *map(str, words(tmp_path, photos, *TWO_FOLDS))]
    for records in (0, 20):
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        store = tmp_path / "store" / "records"
        while process.poll() is None and len(list(store.rglob("*.json"))) <= records:
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert recommend(tmp_path, photos, *TWO_FOLDS).stdout == done[1].stdout
    assert page_of(tmp_path) == page_of(done[0])


@pytest.mark.parametrize("name", ["../../up", "a/b", "local"])
def test_a_name_that_leads_out_of_the_leaderboards_is_refused(name: str, tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos")
    with pytest.raises(UsageError, match="is not a valid name of a page"):
        recommend(tmp_path / "place", photos, "--name", name)
    assert not (tmp_path / "place" / "boards").exists()
    assert not list(tmp_path.rglob(".gitignore"))
