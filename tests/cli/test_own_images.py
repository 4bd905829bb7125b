"""A user's own images on the command line: all of them are kept, and what is not is said."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from PIL import Image
from support import call, records_of
from synthetic import raw

from ltbench.errors import DataError, UsageError
from ltbench.leaderboard.publish import check
from ltbench.records.agreement import result_digest
from ltbench.records.record import seal, validate

COMMON, RARE = 60, 6


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The data set of a folder with 60 and 6 training images, and test images of the common class alone."""
    for name, count, level in (("common", COMMON, 60), ("rare", RARE, 160)):
        for number in range(count):
            paint(tmp_path / "data" / "photos" / "train" / name / f"{number}.png", level + number)
    for number in range(4):
        paint(tmp_path / "data" / "photos" / "test" / "common" / f"{number}.png", 62 + number)
    (tmp_path / "data" / "photos" / "train" / "rare" / "notes.txt").write_text("x")
    monkeypatch.setenv("LTBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    return "image_folder[path=photos,size=8]"


def paint(file: Path, level: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), (level, 0, 0)).save(file)


def plan(*options: str) -> dict[str, object]:
    said = call("plan", "--store", "store", "--plugins", "cb_sampler", "--seeds", "0", "--json", *options)
    facts = json.loads(said.stdout)
    assert isinstance(facts, dict)
    return facts


@pytest.mark.parametrize("option", ["--datasets", "--plugins"])
def test_every_image_is_kept_where_no_imbalance_is_asked_for(photos: str, option: str) -> None:
    facts = plan(option, photos if option == "--datasets" else f"{photos},cb_sampler")
    (data,) = facts["data"]
    assert (data["dataset"], data["training_images"], data["kept"]) == (photos, 66, {"natural": {"1": 66}})
    assert facts["cells"] == 2


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        (["--imbalance-factors", "2"], {"exp": {"2": 12 + 6}}),
        (["--imbalance-factors", "1"], {"natural": {"1": 66}}),
        (["--profiles", "exp", "--imbalance-factors", "1,2"], {"exp": {"1": 12, "2": 18}}),
        (["--profiles", "natural"], {"natural": {"1": 66}}),
        (
            ["--profiles", "exp,natural", "--imbalance-factors", "2,3"],
            {"exp": {"2": 18, "3": 24}, "natural": {"1": 66}},
        ),
    ],
)
def test_a_profile_or_a_factor_may_be_asked_for(photos: str, options: list[str], kept: object) -> None:
    facts = plan("--datasets", photos, *options)
    assert facts["data"][0]["kept"] == kept
    assert facts["cells"] == 2 * sum(len(factors) for factors in kept.values())


def test_factors_that_change_nothing_are_refused(photos: str) -> None:
    with pytest.raises(UsageError, match="imbalance factor 10 would change nothing"):
        plan("--datasets", photos, "--profiles", "natural", "--imbalance-factors", "10")


def test_a_data_set_without_a_profile_of_its_own_has_the_suites(photos: str) -> None:
    assert set(plan("--datasets", "fashion_mini")["data"][0]["kept"]) == {"exp"}
    both = {
        use["dataset"]: use["kept"]
        for use in plan("--datasets", f"fashion_mini,{photos}", "--imbalance-factors", "2")["data"]
    }
    assert set(both[photos]) == {"exp"}


def test_a_plan_says_what_is_kept_and_what_is_left_out(photos: str) -> None:
    said = call("plan", "--store", "store", "--datasets", photos, "--imbalance-factors", "2", width=200).stdout
    assert f"{photos}: exp keeps 18 (factor 2) of 66 training images; --profiles natural keeps all" in said
    assert "71 files: 66 for training, 4 for testing, 1 left out" in said
    assert "train/rare: 1 left out, of unsupported format (.txt), such as notes.txt" in said
    assert "classes without test images (recall is undefined): 'rare'" in said


def test_data_prints_the_report_and_json_has_it(photos: str) -> None:
    said = call("data", photos).stdout
    assert "rare        7         6     0         1" in said
    assert "common     64        60     4         0" in said
    (row,) = json.loads(call("data", photos, "--json").stdout)
    assert row["report"]["files"] == [64, 7]
    assert row["census"]["images"] == {"train": [60, 6], "test": [4, 0]}
    assert row["census"]["smallest"] == [8, 8]


def test_a_census_says_what_the_images_are_like(photos: str) -> None:
    folder = Path("data/photos/train")
    Image.new("L", (20, 4), 7).save(folder / "rare" / "grey.png")
    Image.new("CMYK", (40, 30), (9, 9, 9, 9)).save(folder / "rare" / "print.jpg")
    (folder / "common" / "0.png").write_bytes(b"")
    for n in range(1, 40):
        (folder / "common" / f"{n}.png").write_bytes(b"no image")
    said = call("data", photos).stdout
    assert "WARNING: 40 of 64 files of class 'common' are unreadable" in said
    assert "train/common: 1 left out, unreadable: it is empty, such as 0.png" in said
    assert "class common: 20 left out, unreadable (ltbench data NAME --json lists them), such as " in said
    assert "sizes: 8 x 8 to 40 x 30 pixels, median 8 x 8; of 32 images, 1 enlarged and 1 reduced to 8 x 8" in said
    assert "colours: 30 RGB, 1 CMYK, 1 grey" in said
    assert "4 of 4 test images are identical to a training image" not in said  # those were damaged
    assert "classes are in the order of their names" in said
    (row,) = json.loads(call("data", photos, "--json").stdout)
    assert len(row["census"]["unreadable"]) == 40
    assert row["census"]["unreadable"][0] == {"file": "train/common/0.png", "label": "common", "reason": "it is empty"}
    run = call("run", "--datasets", photos, "--plugins", "", "--models", "convnet[width=4]", "--seeds", "0", "--set", "steps=1",
               "--store", "store", "--executor", "inline")  # fmt: skip
    assert "WARNING: 40 of 64 files of class 'common' are unreadable" in run.stderr
    (page,) = Path("leaderboards").rglob("README.md")
    assert "**40 of 64 files of class 'common' are unreadable**" in page.read_text()


def test_a_plan_says_where_a_model_enlarges_what_was_reduced(photos: str) -> None:
    for number in range(4):
        Image.new("RGB", (20, 30), (number, 0, 0)).save(f"data/photos/train/rare/large {number}.png")
    options = ["--models", "efficientnet_lite0[resize=16],efficientnet_lite0,convnet[width=4]", "--datasets"]
    (note,) = (note for note in plan(*options, photos)["notes"] if "pixels" in note)
    assert note == (
        f"{photos}: 4 of 74 images are reduced to 8 x 8 pixels, which efficientnet_lite0[resize=16] enlarges to 16 x 16: "
        "details are lost; size=16 of the data set keeps them"
    )
    for enough in ("size=16", "size=32"):
        assert not [note for note in plan(*options, f"image_folder[path=photos,{enough}]")["notes"] if "pixels" in note]
    Path("data/photos/train/rare").joinpath("large 0.png").unlink()
    run = call("run", *options, photos, "--models", "efficientnet_lite0[resize=16]", "--plugins", "", "--seeds", "0", "--set", "steps=1",
               "--store", "store", "--executor", "inline")  # fmt: skip
    assert "note: " in run.stderr
    assert "3 of 73 images are reduced to 8 x 8 pixels" in run.stderr


def test_a_run_says_it_before_and_the_record_and_the_page_have_it(photos: str) -> None:
    options = ("--plugins", "cb_sampler", "--models", "convnet[width=4]", "--seeds", "0", "--set", "steps=2")
    at = ("--store", "store", "--executor", "inline")
    run = call("run", "--datasets", photos, *options, *at)
    assert run.return_value == 0
    assert f"{photos}: 71 files: 66 for training, 4 for testing, 1 left out" in run.stderr
    (folder,) = {page.parent for page in Path("leaderboards").rglob("records.jsonl")}
    for record in records_of(folder):
        assert record["data"]["counts"] == [COMMON, RARE]
        assert record["data"]["report"]["test"] == [4, 0]
        assert record["per_class"]["recall"][1] is None
    page = (folder / "README.md").read_text()
    assert "| rare    |       7 |          6 |      0 |          1 |" in page
    assert "- train/rare: 1 left out, of unsupported format (.txt), such as notes.txt" in page
    assert "--profiles natural" in page
    check(folder.parent)
    assert (
        "71 files: 66 for training" in call("show-cell", records_of(folder)[0]["id"], "--records", str(folder)).stdout
    )


def test_a_cell_is_rerun_where_the_page_says_its_images_are(photos: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("data").rename("my data")
    options = ("--plugins", "", "--models", "convnet[width=4]", "--seeds", "0", "--set", "steps=1", "--name", "mine")
    monkeypatch.setenv("LTBENCH_STORE", "store")
    call("run", "--datasets", photos, *options, "--executor", "inline", "--data-root", "my data")
    cell = records_of(Path("leaderboards/local/mine"))[0]["id"]
    command = call("show-cell", cell).stdout.splitlines()[-1].strip()
    assert command.endswith(" --data-root 'my data'")
    assert json.loads(call("show-cell", cell, "--json").stdout)["command"] == command
    again = call(*shlex.split(command)[1:], "--executor", "inline")
    assert again.return_value == 0
    assert "All numbers are bit-identical." in again.stdout
    missing = call("verify", "local/mine", "--rerun", "1", "--executor", "inline", "--dry", width=500)
    assert missing.return_value == 1
    assert "--data-root FOLDER (or LTBENCH_DATA), which has photos" in missing.stdout
    found = call("verify", "local/mine", "--rerun", "1", "--executor", "inline", "--dry", "--data-root", "my data")
    assert found.return_value == 0
    with pytest.raises(DataError) as caught:
        call("data", f"image_folder[path={Path.cwd() / 'nowhere'}]")
    assert "--data-root" not in caught.value.fix


def test_a_run_says_how_many_images_a_profile_drops(photos: str) -> None:
    drops = "at factor 2 drops 48 of 66 training images: 48 of 60 of 'common'"
    assert drops in call("plan", "--store", "store", "--datasets", photos, "--imbalance-factors", "2", width=300).stdout
    options = ("--plugins", "", "--models", "convnet[width=4]", "--seeds", "0", "--set", "steps=1")
    at = ("--store", "store", "--executor", "inline")
    said = call("run", "--datasets", photos, "--imbalance-factors", "2", *options, *at).stderr
    assert "exp keeps 18 (factor 2) of 66 training images; --profiles natural keeps all" in said
    assert f"{photos}: exp {drops}\n" in said
    (page,) = Path("leaderboards").rglob("README.md")
    assert "exp at imbalance factor 2 drops 48 of 66 training images: 48 of 60 of 'common'" in page.read_text()


@pytest.mark.parametrize("held_out", [[], ["--held-out", "0.25"]])
def test_a_page_says_what_is_dropped_by_an_order_of_names(photos: str, held_out: list[str]) -> None:
    Path("data/photos/train/common").rename("data/photos/train/zebra")
    Path("data/photos/test/common").rename("data/photos/test/zebra")
    options = ("--plugins", "", "--models", "convnet[width=4]", "--seeds", "0", "--set", "steps=1", *held_out)
    at = ("--store", "store", "--executor", "inline")
    drops = "drops 57 of 66 training images: 57 of 60 of 'zebra'; the classes are not in the order of their counts"
    assert drops in call("run", "--datasets", photos, "--imbalance-factors", "2", *options, *at).stderr
    (page,) = Path("leaderboards").rglob("README.md")
    assert f"exp at imbalance factor 2 {drops}" in page.read_text()
    kept = call("run", "--datasets", photos, *options, *at, "--name", "all").stderr
    assert "drops" not in kept
    assert "drops" not in Path("leaderboards/local/all/README.md").read_text()


def test_a_report_does_not_make_two_results_differ() -> None:
    plain = raw()
    report = {"files": [1] * 10, "train": [1] * 10, "test": [0] * 10}
    told = plain | {"data": {**plain["data"], "report": report}}
    assert result_digest(validate(seal(told))) == result_digest(validate(seal(plain)))


def test_a_data_set_of_one_class_is_refused(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text(
        "from ltbench import Dataset, DatasetInfo, hookimpl\n\n\n"
        "class One(Dataset):\n"
        '    """One class. Source: none."""\n\n'
        '    name = "one_class"\n\n'
        "    def info(self, root):\n"
        "        return DatasetInfo(classes=('a',), train_counts=(5,), test_counts=(5,), channels=1, size=8,\n"
        "                           mean=(0.5,), std=(0.2,), fingerprint='one')\n\n\n"
        "@hookimpl\n"
        "def ltbench_datasets():\n"
        "    return [One]\n"
    )
    with pytest.raises(DataError, match="'one_class' has only one class"):
        call("plan", "--plugin-file", tmp_path / "one.py", "--plugins", "one_class", "--store", tmp_path / "store")
