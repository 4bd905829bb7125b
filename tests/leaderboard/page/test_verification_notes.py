from __future__ import annotations

from pathlib import Path

import pytest
from support import flip
from synthetic import publish, record, suite, verification

from ltbench.errors import OutOfDate, RecordError
from ltbench.leaderboard.page.terminal import leaderboard_text
from ltbench.leaderboard.publish import check, load, update, write_folder
from ltbench.leaderboard.suite_facts import SuiteFacts
from ltbench.records.records_file import invalidate, records_file
from ltbench.records.verifications import Rerun, write_verifications

RECORDS = suite(factors=(10.0, 100.0), seeds=(0, 1), names=("mixup", "tta"))
FACTS = SuiteFacts(name="quick", title="Quick")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    publish(tmp_path / "quick", FACTS, RECORDS)
    return tmp_path / "quick"


def verify(folder: Path, records, gap: float = 0.0) -> None:
    one = verification(records, rerun=[Rerun(id=records[0].id, same=not gap, gap=gap)])
    write_verifications(folder / "verified.json", [one])
    update(folder.parent)


def page(folder: Path) -> str:
    return (folder / "README.md").read_text()


def test_a_page_says_that_its_rows_are_self_reported_until_they_are_verified(folder: Path) -> None:
    assert "All rows are self-reported" in page(folder)
    verify(folder, RECORDS)
    text = page(folder)
    assert "All rows are self-reported" not in text
    assert "Reruns are claimed: ltbench 0.2.0, records `" in text
    assert "1 of 16 cells rerun, all numbers equal" in text
    verify(folder, RECORDS, gap=0.0123)
    assert "top-1 within 1.23 points" in page(folder)


def test_a_changed_record_makes_a_verification_void_and_the_page_says_so(folder: Path) -> None:
    verify(folder, RECORDS)
    changed = record({"mix": "mixup"}, 10.0, 0, {"top1": 0.5})
    publish(folder, FACTS, [changed])
    text = page(folder)
    assert "is void" in text
    assert changed.id in text
    assert "All rows are self-reported" in text


def test_rows_that_came_later_carry_a_note(folder: Path) -> None:
    verify(folder, RECORDS)
    publish(folder, FACTS, [record({"loss": "label_smooth"}, 10.0, 0)])
    noted = {
        (table.factor, row.label)
        for board in load(folder).boards
        for table in (*board.tables, board.across)
        for row in table.rows
        if "self-reported" in row.notes
    }
    assert noted == {(10.0, "label_smooth"), (None, "label_smooth")}
    assert "The rows with that note are self-reported" in page(folder)
    assert "Reruns are claimed: ltbench 0.2.0" in page(folder)


def test_a_withdrawn_cell_leaves_its_row_with_the_reason_and_stays_in_the_file(folder: Path) -> None:
    bad = next(r for r in RECORDS if r.label == "mixup")
    write_folder(folder, FACTS, records_file(RECORDS, [invalidate(bad, "a *broken* machine", "A. M.")]))
    text = page(folder)
    assert "## Withdrawn cells" in text
    assert rf"`{bad.id}` mixup, imbalance factor 10, seed {bad.setting.seed}: a \*broken\* machine (A. M.)" in text
    loaded = load(folder)
    row = next(r for t in loaded.boards[0].tables if t.factor == 10 for r in t.rows if r.label == "mixup")
    assert row.n == 1
    assert bad.id in (folder / "records.jsonl").read_text()
    shown = leaderboard_text(loaded.facts, loaded.records, loaded.boards, 100, trust=loaded.trust)
    assert "a *broken* machine" in shown


def test_publishing_the_same_numbers_again_does_not_bring_a_withdrawn_cell_back(folder: Path) -> None:
    bad = next(r for r in RECORDS if r.label == "mixup")
    write_folder(folder, FACTS, records_file(RECORDS, [invalidate(bad, "wrong data")]))
    before = page(folder)
    publish(folder, FACTS, RECORDS)
    assert page(folder) == before
    assert [r.id for r in load(folder).records_file.withdrawn] == [bad.id]


@pytest.mark.parametrize(
    ("name", "text", "error", "named"),
    [
        ("records.jsonl", b'"macro_f1":0.', RecordError, "records.jsonl, line 1"),
        ("records.jsonl", b'"train_seconds":', RecordError, "records.jsonl, line 1"),
        ("verified.json", b'"seed": ', RecordError, "verified.json, verification 1"),
        ("README.md", b"mixup", OutOfDate, "README.md"),
        ("table.csv", b"baseline,", OutOfDate, "table.csv"),
    ],
)
def test_a_digit_that_was_flipped_is_noticed_and_its_file_named(
    folder: Path, name: str, text: bytes, error: type[Exception], named: str
) -> None:
    verify(folder, RECORDS)
    check(folder.parent)
    flip(folder / name, text)
    with pytest.raises(error) as caught:
        check(folder.parent)
    assert named in str(caught.value)
