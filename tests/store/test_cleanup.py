"""The items of a store, and those that may be removed."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from support import call, main_result

from ltbench.store.cleanup import disposable, enough_for, items, remove, sizes_by_kind
from ltbench.store.store import Store
from ltbench.store.training_states import end_state, snapshots

DONE, RUNNING, KILLED = "a" * 32, "b" * 32, "c" * 32
PREDICTED = "d" * 32


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Return a store with a bit of everything, all of it old."""
    store = Store(tmp_path / "store")
    for key in (DONE, end_state(DONE), snapshots(DONE)[0], snapshots(RUNNING)[0], snapshots(KILLED)[1]):
        with store.writing(key) as folder:
            (folder / "meta.json").write_text("{}" + " " * 998)
    with store.writing(PREDICTED) as folder:
        (folder / "logits.safetensors").write_bytes(bytes(5000))
        (folder / "meta.json").write_text("{}")
    store.put_record({"id": PREDICTED, "status": "ok"})
    (store.root / "staging" / "left-by-someone").mkdir()
    (store.root / "staging" / "left-by-someone" / "half").write_bytes(bytes(300))
    (store.root / "damaged").mkdir()
    (store.root / "damaged" / "broken").write_bytes(bytes(200))
    old = time.time() - 100_000
    for path in (*store.root.rglob("*"),):
        os.utime(path, (old, old))
    return store


def kinds(found) -> dict[str, int]:
    return {kind: count for kind, (count, _) in sizes_by_kind(found).items()}


def test_every_item_is_listed_and_counted(store: Store) -> None:
    assert kinds(items(store)) == {
        "records": 1, "damaged": 1, "unfinished": 1, "trainings": 1, "states": 1, "snapshots": 3, "predictions": 1,
    }  # fmt: skip
    by_kind = sizes_by_kind(items(store))
    assert by_kind["unfinished"] == (1, 300)
    assert by_kind["predictions"][1] > 5002  # and its digests


def test_useless_items_are_disposable_and_items_in_use_are_not(store: Store) -> None:
    with store.lease(RUNNING):
        found = list(disposable(store))
        assert kinds(found) == {"snapshots": 2, "states": 1, "damaged": 1, "unfinished": 1}
        assert snapshots(RUNNING)[0] not in {item.key for item in found}
        for item in found:
            remove(item, store)
    assert kinds(items(store)) == {"records": 1, "trainings": 1, "predictions": 1, "snapshots": 1}


def test_a_fresh_snapshot_of_a_fit_that_is_not_done_stays(store: Store) -> None:
    path = store.path(snapshots(KILLED)[1]) / "meta.json"
    os.utime(path)
    assert kinds(disposable(store))["snapshots"] == 2


def test_a_recent_file_that_may_still_be_written_stays(store: Store) -> None:
    os.utime(store.root / "staging" / "left-by-someone" / "half")
    assert "unfinished" not in kinds(disposable(store))


def test_trainings_are_disposable_on_request_and_records_never(store: Store) -> None:
    for item in list(disposable(store, trainings=True)):
        remove(item, store)
    assert kinds(items(store)) == {"records": 1}
    assert store.status(PREDICTED) == "ok"


def test_only_enough_is_removed_to_fit_the_limit(store: Store) -> None:
    found = list(disposable(store, trainings=True))
    total = sum(item.size for item in items(store))
    gone = list(enough_for(found, total, total - 1500))
    assert [item.kind for item in gone] == ["snapshots", "snapshots"]  # of about a kilobyte each
    assert not list(enough_for(found, total, total))


def test_age(store: Store) -> None:
    assert not list(disposable(store, trainings=True, older_than=200_000))
    assert list(disposable(store, older_than=90_000))


def test_an_empty_and_a_missing_store(tmp_path: Path) -> None:
    assert not list(items(Store(tmp_path / "none")))
    assert "0 B" in call("cache", "--store", tmp_path / "none").stdout
    assert not (tmp_path / "none").exists()


def test_the_command_shows_says_and_prunes(store: Store) -> None:
    where = ("--store", str(store.root))
    shown = json.loads(call("cache", "show", "--json", *where).output)
    assert {one["kind"]: one["prunable"] for one in shown["kinds"]}["snapshots"] == 3
    assert "would be removed: 3 snapshots" in call("cache", "prune", "--dry-run", *where).output
    assert kinds(items(store))["snapshots"] == 3
    assert "removed: 3 snapshots" in call("cache", "prune", *where).output
    assert "snapshots" not in kinds(items(store))
    assert json.loads(call("cache", "prune", "--json", *where).output)["bytes"] == 0


def test_a_malformed_size_is_refused(capsys) -> None:
    code, _, error = main_result(capsys, "cache", "prune", "--max-size", "much")
    assert code == 2
    assert "500MB" in error
