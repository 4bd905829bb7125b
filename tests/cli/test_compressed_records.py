"""Every command that reads or writes records says the same of a compressed page as of a plain one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support import call
from synthetic import publish, record, suite, write_jsonl

from ltbench.core import compressed_file
from ltbench.leaderboard.suite_facts import SuiteFacts
from ltbench.records.locations import location

RECORDS = suite(factors=(10.0, 100.0), seeds=(0, 1), names=("mixup", "tta"))
FACTS = SuiteFacts(name="quick", title="Quick", command="ltbench run --suite quick", seeds=((0, 0), (1, 1)))


COMMANDS = [
    "leaderboard quick --json", "leaderboard quick", "compare quick local/two", "compare quick baseline mixup --json",
    "export quick", "export leaderboards/quick/records.jsonl --per-class", "leaderboard --check",
    "verify quick --rerun 0 --seed 1 --dry --json", "merge local/two --into merged --json",
]  # fmt: skip


def pages(folder: Path) -> None:
    """Publish two pages below a folder."""
    publish(folder / "leaderboards/quick", FACTS, RECORDS)
    publish(folder / "leaderboards/local/two", FACTS, RECORDS[:8])


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two compressed pages."""
    monkeypatch.setattr(compressed_file, "LIMIT", 3_000)
    monkeypatch.setenv("LTBENCH_STORE", str(tmp_path / "none"))
    monkeypatch.chdir(tmp_path)
    pages(tmp_path)
    return tmp_path


def test_what_is_said_does_not_depend_on_the_form(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compressed = [call(*command.split()).stdout.replace(".gz", "") for command in COMMANDS]
    assert {path.name for path in place.rglob("records.*")} == {"records.jsonl.gz"}
    monkeypatch.setattr(compressed_file, "LIMIT", 10**9)
    (place / "plain").mkdir()
    pages(place / "plain")
    monkeypatch.chdir(place / "plain")
    assert [call(*command.split()).stdout for command in COMMANDS] == compressed
    assert {path.name for path in (place / "plain").rglob("records.*")} == {"records.jsonl"}


def test_a_cell_is_found_withdrawn_and_merged(place: Path) -> None:
    one = RECORDS[-1]
    assert one.id in call("show-cell", one.id[:8]).stdout
    written = json.loads(call("invalidate", one.id[:8], "--reason", "a broken machine", "--json").stdout)["written"]
    assert all(Path(path).is_file() for path in written)
    content = location(place / "leaderboards/quick").records_file()
    assert [record.id for record in content.withdrawn] == [one.id]
    write_jsonl(place / "more.jsonl.gz", [record({"mix": "mixup"}, 10.0, 7)])
    call("merge", "more.jsonl.gz", "--into", "leaderboards/quick")
    assert len(location(place / "leaderboards/quick").records_file().all_records) == len(RECORDS) + 1
    assert len(list((place / "leaderboards/quick").glob("records.*"))) == 1


def test_a_compressed_local_page_is_published_and_shrinks_again(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    call("publish", "two")
    assert location(place / "leaderboards/two").records_file().records == sorted(RECORDS[:8], key=lambda one: one.order)
    monkeypatch.setattr(compressed_file, "LIMIT", 10**9)
    call("publish", "two")
    assert [path.name for path in (place / "leaderboards/two").glob("records.*")] == ["records.jsonl"]
    assert [path.name for path in (place / "leaderboards/two").glob("table.*")] == ["table.csv"]


def test_a_table_is_exported_compressed_where_its_name_says_so(place: Path) -> None:
    for name in ("a.csv", "b.json"):
        call("export", "quick", "--output", name)
        call("export", "quick", "--output", f"{name}.gz")
        assert compressed_file.read(place / f"{name}.gz") == (place / name).read_bytes()
        assert (place / f"{name}.gz").read_bytes().startswith(b"\x1f\x8b")
