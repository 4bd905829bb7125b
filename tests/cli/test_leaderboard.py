from __future__ import annotations

import json
from pathlib import Path

import pytest
import synthetic
from support import call, imported, main_result
from synthetic import publish

from ltbench.errors import OutOfDate, UnknownName, UsageError
from ltbench.leaderboard.publish import read_folder
from ltbench.leaderboard.suite_facts import SuiteFacts


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, names in (("first", ("mixup", "tta")), ("second", ("cb_sampler",))):
        records = synthetic.suite(factors=(10.0, 100.0), seeds=(0, 1, 2), names=names)
        publish(
            tmp_path / "leaderboards" / name,
            SuiteFacts(name=name, title=f"The {name}", columns=synthetic.COLUMNS),
            records,
        )
    return tmp_path


def test_the_table_of_a_suite_is_on_stdout(place: Path) -> None:
    shown = call("leaderboard", "first")
    assert "mixup + tta" in shown.stdout
    assert "cb_sampler" not in shown.stdout
    assert "imbalance factor 100" in shown.stdout
    assert "all imbalance factors" in shown.stdout


def test_without_a_name_every_suite_is_shown(place: Path) -> None:
    shown = call("leaderboard").stdout
    assert shown.index("mixup + tta") < shown.index("cb_sampler")


def test_a_page_with_an_unknown_metric_is_named_and_the_others_are_shown(place: Path, capsys) -> None:
    facts = place / "leaderboards/second/suite.json"
    facts.write_text(facts.read_text().replace('"metric": ""', '"metric": "nonsense"'))
    code, out, err = main_result(capsys, "leaderboard")
    assert code == 1
    assert "mixup + tta" in out
    assert "cb_sampler" not in out
    assert "left out: the page leaderboards/second cannot be ranked: unknown metric 'nonsense'" in err
    assert "`metric` in leaderboards/second/suite.json" in err
    for words in (
        ["leaderboard", "second"],
        ["report", "second"],
        ["leaderboard", "--check"],
        ["export-model", "best", "m", "--page", "second"],
    ):
        code, _, err = main_result(capsys, *words)
        assert (code, "the page leaderboards/second cannot be ranked" in err) == (2, True), err
    # The page is as it should be, so what was asked for is wrong.
    with pytest.raises(UnknownName, match="unknown metric 'nonsens'"):
        call("leaderboard", "second", "--metric", "nonsens")
    assert call("leaderboard", "--metric", "balanced_accuracy").return_value == 0


def test_the_table_fits_the_window(place: Path) -> None:
    assert max(map(len, call("leaderboard", "first", width=80).stdout.splitlines())) <= 80


def test_json_has_rows_with_estimates(place: Path) -> None:
    (board,) = json.loads(call("leaderboard", "second", "--json").stdout)[0]["boards"]
    best = board["tables"][1]["rows"][0]
    assert (best["label"], best["n"]) == ("cb_sampler", 3)
    assert set(best["scores"]["top1"]) == {"mean", "sd", "half", "n"}


@pytest.mark.parametrize("command", ["leaderboard", "report"])
def test_an_unknown_suite_gets_the_nearest_name(place: Path, command: str) -> None:
    with pytest.raises(UnknownName, match="frist") as caught:
        call(command, "frist")
    assert "did you mean first?" in str(caught.value)


def test_no_leaderboard_is_said_on_stderr(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shown = call("leaderboard")
    assert shown.stdout == ""
    assert "ltbench run creates one" in shown.stderr
    assert json.loads(call("leaderboard", "--json").stdout) == []
    assert call("leaderboard", "--check").exit_code == 0


def test_update_mends_what_check_finds(place: Path) -> None:
    (place / "README.md").write_text("<!-- ltbench:leaderboard first -->\n<!-- /ltbench:leaderboard -->\n")
    with pytest.raises(OutOfDate, match=r"README\.md"):
        call("leaderboard", "--check")
    assert json.loads(call("leaderboard", "--update", "--json").stdout) == {"changed": ["README.md"]}
    assert "7 files are up to date" in call("leaderboard", "--check").stderr
    assert "mixup + tta" in (place / "README.md").read_text()


def test_a_changed_suite_file_is_found_and_rendered_without_training(place: Path) -> None:
    folder = place / "leaderboards" / "report-park-fast"
    (place / "leaderboards" / "second").rename(folder)
    facts = SuiteFacts(name="report-park-fast", title="As it was", seeds=((0, 0), (7, 7)), unfinished=3, command="ltbench run")  # fmt: skip
    publish(folder, facts, ())
    (place / "README.md").write_text("<!-- ltbench:claims -->\n<!-- /ltbench:claims -->\n")
    call("leaderboard", "--update")
    assert "As it was" in (folder / "README.md").read_text()
    call("leaderboard", "--check")
    with pytest.raises(OutOfDate, match=r"suite\.json") as caught:
        call("leaderboard", "--check", "--from-suites")
    assert caught.value.fix == "ltbench leaderboard --update --from-suites"
    call("leaderboard", "--update", "--from-suites")
    call("leaderboard", "--check", "--from-suites")
    after = read_folder(folder)[0]
    assert after.title.startswith("Report park on two cores")
    assert len(after.claims) == 10
    # What its runs say stays.
    assert (after.seeds, after.unfinished, after.command) == (facts.seeds, 3, "ltbench run")
    assert after.columns
    assert "How claims are judged" in (folder / "README.md").read_text()
    rows = [line for line in (place / "README.md").read_text().splitlines() if "report-park-fast](" in line]
    assert [row.split("|")[2].strip() for row in rows] == ["10"]
    # A suite that is not installed stays as it is.
    assert read_folder(place / "leaderboards" / "first")[0].title == "The first"


@pytest.mark.parametrize("args", [("--check", "--update"), ("--check", "first"), ("--from-suites",)])
def test_what_makes_no_sense_together_is_refused(place: Path, args: tuple[str, ...]) -> None:
    with pytest.raises(UsageError):
        call("leaderboard", *args)


def test_the_command_that_mends_is_the_command_that_was_called(place: Path) -> None:
    (place / "leaderboards").rename(place / "boards")
    (place / "boards" / "first" / "README.md").unlink()
    with pytest.raises(OutOfDate) as caught:
        call("leaderboard", "--check", "--leaderboards", "boards", "--readme", "READ.md")
    assert caught.value.fix == "ltbench leaderboard --update --leaderboards boards --readme READ.md"


def test_a_page_out_of_date_exits_with_5_and_neither_torch_nor_plugins_are_needed(place: Path, capsys) -> None:
    (place / "leaderboards" / "first" / "README.md").write_text("mine\n")
    code, _, error = main_result(capsys, "leaderboard", "--check")
    assert code == 5
    assert "-mine" in error
    assert "Traceback" not in error
    assert imported("leaderboard", "--update").isdisjoint({"torch", "pluggy"})
