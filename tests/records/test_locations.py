from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from synthetic import publish, record, suite, write_jsonl

from ltbench.errors import RecordError, UnknownName, UsageError
from ltbench.leaderboard.suite_facts import SuiteFacts
from ltbench.records.locations import find_cell, find_location, location, places
from ltbench.records.record import plain_values
from ltbench.records.records_file import invalidate, records_file, write_records_file
from ltbench.store.store import Store

RECORDS = suite(factors=(10.0, 100.0), seeds=(0, 1), names=("mixup", "tta"))


@pytest.fixture
def board(tmp_path: Path) -> Path:
    publish(tmp_path / "boards" / "quick", SuiteFacts(name="quick"), RECORDS)
    return tmp_path / "boards"


def test_a_file_a_suite_and_a_store_have_the_same_records(board: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    for one in RECORDS:
        store.put_record(plain_values(one))
    kinds = {}
    for path in (board / "quick", board / "quick" / "records.jsonl", tmp_path / "store"):
        place = location(path)
        kinds[place.kind] = place.records_file().records
    assert set(kinds) == {"suite", "file", "store"}
    assert kinds["suite"] == kinds["file"] == kinds["store"]
    assert len(kinds["store"]) == len(RECORDS)


def test_a_name_is_a_leaderboard_before_it_is_a_path(board: Path, tmp_path: Path) -> None:
    assert find_location("quick", board).path == board / "quick"
    assert find_location(str(board / "quick"), tmp_path).kind == "suite"
    with pytest.raises(UnknownName, match="quik") as caught:
        find_location("quik", board)
    assert caught.value.fix == "did you mean quick?"


def test_what_has_no_records_is_refused_with_what_it_is(board: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no records at") as missing:
        find_location(str(tmp_path / "nowhere" / "r.jsonl"), board)
    assert missing.value.why == "it does not exist"
    with pytest.raises(UsageError, match="no records at") as empty:
        location(tmp_path)
    assert "not a store" in empty.value.why


def test_a_cell_is_found_by_the_beginning_of_its_identity_wherever_it_is(board: Path, tmp_path: Path) -> None:
    alone = record({"sampler": "cb_sampler"}, seed=9)
    store = Store(tmp_path / "store")
    store.put_record(plain_values(alone))
    store.put_record(plain_values(RECORDS[0]))
    among = places(board, tmp_path / "store")
    assert find_cell(alone.id[:12], among).record == alone
    both = find_cell(RECORDS[0].id.upper(), among)
    assert both.record == RECORDS[0]
    assert [place.kind for place in both.places] == ["suite", "store"]


def test_an_ambiguous_beginning_lists_what_it_may_mean(board: Path) -> None:
    first = min(one.id for one in RECORDS)
    for length in range(1, 32):
        same = [one for one in RECORDS if one.id.startswith(first[:length])]
        if len(same) > 1:
            with pytest.raises(UsageError, match=f"{len(same)} cells have ids that start with") as caught:
                find_cell(first[:length], places(board, board))
            assert all(one.id in caught.value.why for one in same)
        else:
            assert find_cell(first[:length], places(board, board)).record.id == first
            break
    else:
        pytest.fail("no beginning was unique")


@pytest.mark.parametrize("asked", ["", "xyz", "*", "../..", "0" * 33])
def test_what_is_no_identity_is_refused(board: Path, asked: str) -> None:
    with pytest.raises(UsageError, match="not the id of a cell"):
        find_cell(asked, places(board, board))


def test_an_unknown_cell_gets_the_nearest(board: Path) -> None:
    asked = RECORDS[0].id[:9] + ("0" if RECORDS[0].id[9] != "0" else "1")
    with pytest.raises(UsageError, match="no cell has an id that starts with") as caught:
        find_cell(asked, places(board, board))
    assert RECORDS[0].id[:10] in caught.value.fix


def test_damage_in_another_line_is_no_obstacle_and_in_its_own_it_is_named(board: Path) -> None:
    path = board / "quick" / "records.jsonl"
    lines = path.read_bytes().splitlines()
    lines[0] = lines[0][: len(lines[0]) // 2]
    lines[1] = lines[1].replace(b'"parameters":24234', b'"parameters":24235')
    path.write_bytes(b"\n".join(lines))
    whole = msgspec.json.decode(lines[2])["id"]
    assert find_cell(whole, places(board, board)).record.id == whole
    with pytest.raises(RecordError, match="was changed") as caught:
        find_cell(msgspec.json.decode(lines[1])["id"], places(board, board))
    assert caught.value.where.endswith("line 2")


def test_a_withdrawn_cell_is_found_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    write_jsonl(path, [record()])
    write_records_file(path, records_file([record()], [invalidate(record(), "wrong data")]))
    found = find_cell(record().id[:8], [location(path)])
    assert [one.reason for one in found.invalidations] == ["wrong data"]
