"""Records that can be trusted: anything else is set aside and counts as none."""

from __future__ import annotations

import msgspec
import pytest
from synthetic import raw

from ltbench.records.from_store import valid_record, valid_records, valid_status
from ltbench.records.record import seal
from ltbench.store.quarantine import quarantined


def put(store, record, key=None):
    store.put_record(record | {"id": key or record["id"]})
    return key or record["id"]


def test_a_sound_record_is_given_as_it_is(store):
    record = seal(raw())
    assert valid_record(put(store, record), store) == record
    assert list(valid_records(["nothing", record["id"]], store)) == [record]
    assert valid_record("nothing", store) is None
    assert quarantined(store.root) == []


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"metrics": {"top1": 0.99}}, "was changed after it was created"),
        ({"surprise": 1}, "does not follow the schema"),
        ({"status": "failed"}, "is malformed"),
    ],
)
def test_a_record_that_was_changed_is_set_aside_with_the_reason(store, change, why):
    key = put(store, seal(raw()) | change)
    assert valid_record(key, store) is None
    assert store.record(key) is None
    (damage,) = quarantined(store.root)
    assert damage.key == key
    assert why in damage.why
    assert msgspec.json.decode(damage.where.read_bytes())["id"] == key


def test_a_record_sealed_under_the_identity_of_another_cell_is_set_aside(store):
    record = seal(raw(factor=50.0) | {"id": raw()["id"]})
    assert valid_record(put(store, record), store) is None
    assert "contradicts itself" in quarantined(store.root)[0].why


def test_what_is_set_aside_without_a_reason_is_listed_all_the_same(store):
    key = put(store, seal(raw()) | {"surprise": 1})
    valid_record(key, store)
    (damage,) = quarantined(store.root)
    damage.where.with_name(f"{damage.where.name}.txt").unlink()
    assert quarantined(store.root)[0].why == "unknown reason"


def test_a_status_is_not_read_again_and_a_file_that_took_the_place_is(store, monkeypatch):
    made = seal(raw())
    store.put_record(made)
    assert valid_record(made["id"], store) == made
    reads = []
    content = store._record_content
    monkeypatch.setattr(store, "_record_content", lambda cell: reads.append(cell) or content(cell))
    assert valid_status(made["id"], store) == "ok"
    assert reads == []
    assert valid_status(made["id"], store) == "ok", "the second time nothing is known of it"
    assert len(reads) == 1
    store.record_path(made["id"]).write_text("{}")
    assert valid_status(made["id"], store) is None
    assert valid_status("0" * 32, store) is None
