from __future__ import annotations

import json
from pathlib import Path

import pytest
from synthetic import record, verification

from ltbench.errors import RecordError
from ltbench.records.verifications import read_verifications, verification_status, write_verifications

RECORDS = [record(seed=seed) for seed in range(3)]


def test_records_are_verified_until_one_of_them_changes() -> None:
    one = verification(RECORDS)
    held = verification_status([one], RECORDS)
    assert held.valid == [one]
    assert all(held.covers(r) for r in RECORDS)
    changed = verification_status([one], [*RECORDS[:2], record(seed=2, scores={"top1": 0.8})])
    assert changed.valid == []
    assert changed.void == [(one, RECORDS[2].id)]
    assert not any(changed.covers(r) for r in RECORDS)


def test_a_record_that_is_gone_makes_it_void_and_one_that_came_later_is_self_reported() -> None:
    one = verification(RECORDS[:2])
    assert verification_status([one], RECORDS[:1]).valid == []
    later = verification_status([one], RECORDS)
    assert [later.covers(r) for r in RECORDS] == [True, True, False]


def test_when_and_where_a_record_was_made_changes_nothing() -> None:
    again = [record(seed=seed, cost={"train_seconds": 99.0}, environment={"processor": "x"}) for seed in range(3)]
    assert verification(again).records == verification(RECORDS[::-1]).records
    assert verification_status([verification(RECORDS)], again).covers(again[0])


def test_a_file_has_one_order_and_can_be_read_again(tmp_path: Path) -> None:
    entries = [verification(RECORDS[:1]), verification(RECORDS)]
    write_verifications(tmp_path / "a.json", entries)
    write_verifications(tmp_path / "b.json", [*entries[::-1], entries[0]])
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert sorted(e.digest for e in read_verifications(tmp_path / "a.json")) == sorted(e.digest for e in entries)
    write_verifications(tmp_path / "a.json", [])
    assert not (tmp_path / "a.json").exists()
    assert read_verifications(tmp_path / "a.json") == []


@pytest.mark.parametrize(("field", "value"), [("rerun", []), ("ltbench", "9"), ("recomputed", 5), ("cells", {})])
def test_a_changed_entry_is_noticed(tmp_path: Path, field: str, value: object) -> None:
    path = tmp_path / "v.json"
    write_verifications(path, [verification(RECORDS)])
    content = json.loads(path.read_text())
    content["verifications"][0][field] = value
    path.write_text(json.dumps(content))
    with pytest.raises(RecordError, match="verification was changed") as caught:
        read_verifications(path)
    assert "verification 1" in caught.value.where


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": 2}', '{"verifications": [{}]}', "\xff"])
def test_what_is_no_such_file_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "v.json").write_text(text, encoding="latin-1")
    with pytest.raises(RecordError, match="do not follow the schema"):
        read_verifications(tmp_path / "v.json")
