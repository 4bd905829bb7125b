"""The commands that take records in, withdraw, write and compare them."""

from __future__ import annotations

import importlib.util
import io
import json
import random
from pathlib import Path

import msgspec
import pandas as pd
import pytest
from support import call, imported
from synthetic import identified, publish, raw, record, suite, verification, write_jsonl

from ltbench.errors import LtbenchError, RecordError, UnknownName, UsageError
from ltbench.leaderboard.publish import check
from ltbench.leaderboard.suite_facts import SuiteFacts
from ltbench.records.verifications import write_verifications

RECORDS = suite(factors=(10.0, 100.0), seeds=(0, 1), names=("mixup", "tta"))
FACTS = SuiteFacts(name="quick", title="Quick", command="ltbench run --suite quick", seeds=((0, 0), (1, 1)))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LTBENCH_STORE", str(tmp_path / "none"))
    publish(tmp_path / "leaderboards" / "quick", FACTS, RECORDS)
    return tmp_path


def state(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".locks" not in path.parts
    }


# --- merge ----------------------------------------------------------------------------------------------------------


def test_the_order_of_files_gives_the_same_bytes(place: Path) -> None:
    later = suite(factors=(10.0, 100.0), seeds=(1, 2), names=("mixup", "cb_sampler"))
    parts = [later[0::3], later[1::3], later[2::3], RECORDS[:5]]
    for number, part in enumerate(parts):
        write_jsonl(place / f"{number}.jsonl", part)
    results = []
    for round_ in range(3):
        order = random.Random(round_).sample(range(4), 4)
        folder = place / f"round{round_}" / "quick"
        publish(folder, FACTS, RECORDS)
        result = call("merge", *(f"{number}.jsonl" for number in order), "--into", folder, "--json")
        said = json.loads(result.stdout)
        results.append((state(folder), said["added"], said["duplicates"], said["conflicts"], result.return_value))
    assert results[0] == results[1] == results[2]
    check(place / "round0")


def test_conflicts_are_listed_with_exit_code_1_and_the_old_stays(place: Path) -> None:
    theirs = record({"mix": "mixup"}, 10.0, 0, {"top1": 0.99})
    write_jsonl(place / "theirs.jsonl", [theirs, record({"mix": "mixup"}, 10.0, 5)])
    before = (place / "leaderboards/quick/records.jsonl").read_text()
    result = call("merge", "theirs.jsonl", "--into", "leaderboards/quick")
    assert result.return_value == 1
    assert theirs.id[:12] in result.stdout
    assert "0.9900" in result.stdout
    after = (place / "leaderboards/quick/records.jsonl").read_text()
    assert set(before.splitlines()) < set(after.splitlines())
    assert '"top1":0.99' not in after
    taken = call("merge", "theirs.jsonl", "--into", "leaderboards/quick", "--prefer", "theirs.jsonl")
    assert taken.return_value == 0
    assert '"top1":0.99' in (place / "leaderboards/quick/records.jsonl").read_text()
    kept = call("merge", "theirs.jsonl", "--into", "leaderboards/quick", "--prefer", "leaderboards/quick")
    assert kept.return_value == 0


def test_a_new_folder_takes_over_what_the_suite_says_and_the_command_names_new_seeds(place: Path) -> None:
    write_jsonl(place / "more.jsonl", [record(factor=10.0, seed=7)])
    call("merge", "quick", "more.jsonl", "--into", "all")
    facts = json.loads((place / "all/suite.json").read_text())
    assert (facts["name"], facts["title"], facts["seeds"]) == (
        "quick",
        "Four techniques on Fashion-MNIST-mini, alone and together",
        [[0, 0], [1, 1], [7, 7]],
    )
    assert facts["command"] == "ltbench run --suite quick --plugins mixup,tta --imbalance-factors 10,100 --seeds 0,1,7"


def test_verifications_are_taken_over_only_when_they_are_trusted(place: Path) -> None:
    write_verifications(place / "leaderboards/quick/verified.json", [verification(RECORDS)])
    call("merge", "quick", "--into", "a")
    assert "self-reported" in (place / "a/README.md").read_text()
    assert not (place / "a/verified.json").exists()
    call("merge", "quick", "--into", "b", "--accept", "verifications")
    assert "Reruns are claimed: ltbench 0.2.0" in (place / "b/README.md").read_text()


def test_what_cannot_be_merged_is_refused_and_nothing_is_written(place: Path) -> None:
    before = state(place / "leaderboards")
    (place / "half.jsonl").write_text('{"id": "x')
    with pytest.raises(RecordError, match="not JSON") as caught:
        call("merge", "half.jsonl", "--into", "leaderboards/quick")
    assert caught.value.where == "half.jsonl, line 1"
    with pytest.raises(UsageError, match="is the merge target"):
        call("merge", "quick", "--into", "leaderboards/quick")
    with pytest.raises(UnknownName, match="quik"):
        call("merge", "quik", "--into", "leaderboards/other")
    write_jsonl(place / "fine.jsonl", [record(seed=9)])
    with pytest.raises(UsageError, match="which is not merged"):
        call("merge", "fine.jsonl", "--into", "leaderboards/quick", "--prefer", "half.jsonl")
    assert state(place / "leaderboards") == before


@pytest.mark.parametrize("named", ["installed", "own", "new"])
def test_records_that_the_command_of_a_page_does_not_make_are_refused(place: Path, named: str) -> None:
    """As `publish` refuses them: the page would say that its command makes them."""
    target = {"installed": "leaderboards/quick", "own": "leaderboards/mine", "new": "new/quick"}[named]
    (place / "README.md").write_text("<!-- ltbench:leaderboard mine -->\nold\n<!-- /ltbench:leaderboard -->\n")
    mine = msgspec.structs.replace(FACTS, name="mine", command="ltbench run --suite mine.toml", definition="a")
    publish(place / "leaderboards/mine", mine, RECORDS)
    made = raw({"mix": "mixup"}, 10.0, 0)
    for spec in (made, *made["fits"]):
        spec["recipe"] = spec["recipe"] | {"lr": 0.7}
    publish(place / "leaderboards/local/trial", msgspec.structs.replace(mine, definition="b"), [identified(made)])
    write_jsonl(place / "trial.jsonl", [identified(made)])
    before = state(place)
    for source in ("leaderboards/local/trial", "trial.jsonl"):
        with pytest.raises(UsageError, match="of another data set, profile, model or recipe") as caught:
            call("merge", source, "--into", target)
        assert "lr=0.7" in str(caught.value.where)
        assert "--into" in caught.value.fix
        assert state(place) == before
    if named == "own":
        # Who says to have the same suite may have a recipe that the page has no records of, if he is believed; others may have a new row.
        publish(place / "leaderboards/local/trial", mine, [identified(made)])
        row = record({"mix": "cutmix"}, 10.0, 0)
        publish(place / "theirs", msgspec.structs.replace(mine, definition="c"), [row])
        merge = ["merge", "leaderboards/local/trial", "theirs", "--into", target]
        before = state(place)
        with pytest.raises(UsageError, match="of another data set, profile, model or recipe") as caught:
            call(*merge)
        assert "--accept boards" in caught.value.fix
        assert state(place) == before
        assert call(*merge, "--accept", "boards").return_value == 0
        assert row.id in (place / target / "records.jsonl").read_text()
        assert "old" not in (place / "README.md").read_text()


# --- invalidate -----------------------------------------------------------------------------------------------------


def test_a_withdrawn_cell_is_gone_from_every_page_that_had_it(place: Path) -> None:
    publish(place / "leaderboards" / "other", SuiteFacts(name="other"), RECORDS[:6])
    cell = RECORDS[2].id
    said = json.loads(call("invalidate", cell[:14], "--reason", "wrong data", "--by", "A. M.", "--json").stdout)
    assert said["invalidation"]["id"] == cell
    for name in ("quick", "other"):
        assert f"`{cell}`" in (place / "leaderboards" / name / "README.md").read_text()
    check(place / "leaderboards")
    assert "WITHDRAWN: wrong data (A. M.)" in call("show-cell", cell).stdout
    assert cell not in call("export", "quick").stdout
    with pytest.raises(UsageError, match="no cell has an id that starts with"):
        call("invalidate", "0" * 12, "--reason", "x")
    with pytest.raises(RecordError, match="needs a reason"):
        call("invalidate", cell, "--reason", " ")


def test_a_failed_cell_is_shown_with_its_log(place: Path) -> None:
    error = {"type": "JobFailed", "message": "the loss is not finite", "job": "j1", "log": "Traceback\n  boom"}
    failed = record(seed=4, error=error)
    write_jsonl(place / "f.jsonl", [failed])
    shown = call("show-cell", failed.id, "--records", "f.jsonl").stdout
    assert (
        call("show-cell", failed.id, "--records", "f.jsonl", "--log").stdout.rstrip()
        == f"# {failed.error.job or failed.id}\n{failed.error.log.rstrip()}"
    )
    for expected in ("status      failed", "the loss is not finite", "log of j1\n  Traceback\n    boom",
                     f"run --cell {failed.id} --records f.jsonl"):  # fmt: skip
        assert expected in shown
    assert json.loads(call("leaderboard", "quick", "--json").stdout)[0]["standing"]["withdrawn"] == []


# --- export ---------------------------------------------------------------------------------------------------------

READERS = {"csv": pd.read_csv, "json": pd.read_json, "parquet": pd.read_parquet}


@pytest.mark.parametrize("form", READERS)
def test_every_format_loads_in_one_line_with_the_same_numbers(place: Path, form: str) -> None:
    call("export", "quick", "--output", f"out.{form}", "--per-class")
    frame = READERS[form](place / f"out.{form}")
    scores = frame[frame["class"].isna() & ~frame.metric.str.startswith("cost.")]
    assert len(scores) == sum(len({*r.metrics, "balanced_accuracy"}) for r in RECORDS)
    mine = {r.id: r for r in RECORDS}
    for row in scores.itertuples():
        expected = mine[row.cell].score(row.metric)
        assert pd.isna(row.value) if expected is None else row.value == pytest.approx(expected, abs=1e-15)
    one = scores[(scores.cell == RECORDS[-1].id) & (scores.metric == "top1")].iloc[0]
    record = RECORDS[-1]
    assert (one.techniques, one.imbalance_factor, one.seed) == (record.label, 100.0, record.setting.seed)
    assert (one.provenance, one.status, json.loads(one.recipe)) == ("self-reported", "ok", record.recipe)
    classes = frame[frame.metric == "per_class.support"]
    assert set(classes.class_name) == set("abcdefghij")
    assert sorted(set(classes["class"])) == list(range(10))
    assert frame.groupby(["cell", "metric", frame["class"].fillna(-1)]).size().max() == 1


def test_the_columns_are_the_documented_ones(place: Path) -> None:
    from ltbench.leaderboard.export import COLUMNS

    docs = (Path(__file__).parents[2] / "docs" / "data-format.md").read_text()
    frame = pd.read_csv(io.StringIO(call("export", "quick").stdout))
    assert list(frame.columns) == list(COLUMNS)
    assert [name for name in COLUMNS if f"`{name}`" not in docs] == []


def test_a_failed_cell_has_one_row_and_no_record_none(place: Path) -> None:
    failed = record(seed=4, error={"type": "E", "message": "boom"})
    write_jsonl(place / "f.jsonl", [failed])
    (row,) = pd.read_csv(io.StringIO(call("export", "f.jsonl").stdout)).to_dict("records")
    assert (row["status"], row["seed"]) == ("failed", 4)
    assert pd.isna(row["metric"])
    assert pd.isna(row["value"])
    (place / "none.jsonl").touch()
    assert call("export", "none.jsonl").stdout.count("\n") == 1
    assert json.loads(call("export", "none.jsonl", "--format", "json").stdout) == []


def test_names_that_are_not_ascii_and_have_commas_come_through(place: Path) -> None:
    write_jsonl(place / "u.jsonl", [record(classes=('Größe, "L"', "日本", "b"))])
    for form, read in READERS.items():
        call("export", "u.jsonl", "--output", f"u.{form}", "--per-class")
        assert {'Größe, "L"', "日本", "b"} <= set(read(place / f"u.{form}").class_name.dropna())


def test_parquet_without_its_library_names_the_extra(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "pyarrow" else find(name, *a))
    with pytest.raises(UsageError, match="pyarrow") as caught:
        call("export", "quick", "--output", "x.parquet")
    assert caught.value.fix == "pip install 'ltbench[parquet]'"
    with pytest.raises(UsageError, match="cannot be printed to a terminal"):
        call("export", "quick", "--format", "parquet")


def test_predictions_that_the_store_does_not_have_are_an_error(place: Path) -> None:
    with pytest.raises(LtbenchError):
        call("export", "quick", "--predictions", "--store", place / "none")
    with pytest.raises(UsageError, match="copies files of the store unchanged"):
        call("export", "quick", "--predictions", "--format", "csv")


# --- compare ----------------------------------------------------------------------------------------------------------


def test_compare_takes_two_sets_or_a_suite_and_two_combinations_or_cells(place: Path) -> None:
    write_jsonl(place / "less.jsonl", RECORDS[:-4])
    assert "only in A" in call("compare", "quick", "less.jsonl").stdout
    assert "Identical: 16 cells" in call("compare", "quick", "leaderboards/quick/records.jsonl").stdout
    lines = json.loads(call("compare", "quick", "baseline", "tta + mixup", "--json").stdout)["lines"]
    assert [line["factor"] for line in lines] == [10.0, 100.0, None]
    cells = call("compare", "quick", RECORDS[0].id[:16], RECORDS[1].id[:16]).stdout
    assert RECORDS[1].id in cells
    assert "macro_f1" in cells
    assert "seed 1" in call("compare", "quick", "baseline", "mixup", "--cells").stdout


@pytest.mark.parametrize(("args", "message"), [(("quick",), "two or three"), (("quick", "nowhere"), "nowhere")])
def test_what_cannot_be_compared_is_refused(place: Path, args: tuple[str, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        call("compare", *args)


@pytest.mark.parametrize(
    "args",
    [("show-cell", RECORDS[0].id), ("compare", "quick", "baseline", "mixup"), ("export", "quick"),
     ("merge", "quick", "--into", "new"), ("invalidate", RECORDS[0].id, "--reason", "x")],
)  # fmt: skip
def test_the_commands_work_without_torch(place: Path, args: tuple[str, ...]) -> None:
    assert "torch" not in imported(*args)
