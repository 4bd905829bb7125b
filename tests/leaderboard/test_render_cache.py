"""A page that is what its records say is not made again."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support import call

from ltbench.core import compressed_file
from ltbench.leaderboard import render_cache

NAMES = ("README.md", "table.csv", "records.jsonl", "suite.json")


@pytest.fixture
def place(trained: Path, tmp_path: Path) -> Path:
    shutil.copytree(trained, tmp_path / "place")
    return tmp_path / "place"


def again(place: Path) -> str:
    """Run what is done, and return what was said."""
    at = [f"--{option}={place / option}" for option in ("store", "leaderboards")]
    return call("run", "--suite", place / "tiny.toml", "--executor", "inline", *at).stderr


def test_a_second_run_says_that_the_page_is_up_to_date_and_writes_nothing(place: Path) -> None:
    assert "written: " in again(place)  # nobody has noted anything of this copy
    page = place / "leaderboards" / "local" / "tiny" / "README.md"
    before = {path: path.stat().st_mtime_ns for path in page.parent.rglob("*")}
    said = again(place)
    assert (
        f"up to date: {page}; to print it: ltbench leaderboard local/tiny --leaderboards {place / 'leaderboards'}"
        in said
    )
    assert "written: " not in said
    assert {path: path.stat().st_mtime_ns for path in page.parent.rglob("*")} == before


@pytest.mark.parametrize("name", NAMES[:2])
def test_a_file_that_was_changed_or_is_gone_is_made_again(name: str, place: Path) -> None:
    again(place)
    file = place / "leaderboards" / "local" / "tiny" / name
    whole = file.read_bytes()
    file.write_bytes(whole + b" ")
    assert "written: " in again(place)
    assert file.read_bytes() == whole
    file.unlink()
    assert "written: " in again(place)
    assert file.read_bytes() == whole


def test_a_figure_that_does_not_belong_there_goes(place: Path) -> None:
    again(place)
    stray = place / "leaderboards" / "local" / "tiny" / "figures" / "stray.svg"
    stray.write_text("<svg/>")
    again(place)
    assert not stray.exists()


def test_another_version_of_ltbench_renders_anew(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    again(place)
    monkeypatch.setattr(render_cache, "own_source", lambda: "another")
    assert "written: " in again(place)


def test_a_note_that_cannot_be_read_or_written_costs_nothing_but_time(place: Path) -> None:
    again(place)
    notes = list((place / "store" / "pages").iterdir())
    for note in notes:
        note.write_bytes(b"{")
    assert "written: " in again(place)
    for note in notes:
        note.unlink()
        note.mkdir()
    assert "written: " in again(place)


def test_the_other_form_of_the_records_that_a_kill_left_is_removed(place: Path) -> None:
    again(place)
    page = place / "leaderboards" / "local" / "tiny"
    other = page / "records.jsonl.gz"
    other.write_bytes(compressed_file.packed(other, (page / "records.jsonl").read_bytes()))
    assert "written: " in again(place)
    assert [path.name for path in page.glob("records.*")] == ["records.jsonl"]
    assert "written: " not in again(place)
