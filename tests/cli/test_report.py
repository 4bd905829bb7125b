from __future__ import annotations

import sys
from pathlib import Path

import pytest
import synthetic
from support import call, main_result
from synthetic import publish

from ltbench.leaderboard.html.vega import library
from ltbench.leaderboard.publish import check
from ltbench.leaderboard.suite_facts import SuiteFacts


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    publish(tmp_path / "leaderboards" / "first", SuiteFacts(name="first", title="The first"), [synthetic.record()])
    (tmp_path / "leaderboards" / "empty").mkdir()
    return tmp_path


def test_the_report_is_written_beside_the_page_and_named_on_stdout(place: Path) -> None:
    assert call("report", "first").stdout == "leaderboards/first/report.html\n"
    assert "<title>The first</title>" in (place / "leaderboards/first/report.html").read_text()
    check(place / "leaderboards")  # it is no generated file that has to be current


def test_the_report_goes_where_it_is_asked_for(place: Path) -> None:
    assert call("report", "first", "--output", "deep/one.html").stdout == "deep/one.html\n"
    assert (place / "deep/one.html").is_file()


def test_a_folder_without_records_has_a_report_too(place: Path) -> None:
    call("report", "empty")
    assert "<title>empty</title>" in (place / "leaderboards/empty/report.html").read_text()


def test_open_shows_it_in_the_browser(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setattr("click.launch", shown.append)
    call("report", "first", "--open")
    assert shown == [(place / "leaderboards/first/report.html").as_uri()]


def test_without_the_library_the_command_says_what_to_install(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    library.cache_clear()
    code, _, error = main_result(capsys, "report", "first")
    assert code == 2
    assert "pip install 'ltbench[report]'" in error
    assert "Traceback" not in error
