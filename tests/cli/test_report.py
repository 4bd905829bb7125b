from __future__ import annotations

from pathlib import Path

import pytest
import synthetic
from support import call, import_path_env, ltbench

from ltbench.errors import UnknownName
from ltbench.leaderboard.page.page import SuiteFacts
from ltbench.leaderboard.publish import check, publish


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


def test_an_unknown_suite_gets_the_nearest_name(place: Path) -> None:
    with pytest.raises(UnknownName, match="frist") as caught:
        call("report", "frist")
    assert "first" in caught.value.fix


def test_without_the_library_the_command_says_what_to_install(place: Path) -> None:
    (place / "vl_convert.py").write_text("raise ModuleNotFoundError('no')")
    result = ltbench("report", "first", env=import_path_env(place), cwd=place)
    assert result.returncode == 2
    assert "pip install 'ltbench[report]'" in result.stderr
    assert "Traceback" not in result.stderr
