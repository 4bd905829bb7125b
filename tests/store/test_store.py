"""The store: atomic writes, quarantine of whatever does not fit its digest, clear errors of the system."""

from __future__ import annotations

import errno
import json
import os
import pickle
import random
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ltbench.core import atomic_files
from ltbench.errors import StoreError
from ltbench.store.store import Store

WRITER = """
import os, sys
from ltbench.store.store import Store
store = Store(sys.argv[1])
print("ready", flush=True)
for number in range(10_000):
    key = f"key{os.getpid()}-{number:05d}"
    with store.writing(key) as folder:
        (folder / "meta.json").write_text('{"number": %d}' % number)
        (folder / "weights.bin").write_bytes(os.urandom(300_000))
    store.put_record({"id": key, "status": "ok", "number": number, "filling": ["x" * 50] * 50})
"""


def put(store, key="abc123", content=b"weights", **meta):
    with store.writing(key) as folder:
        (folder / "weights.bin").write_bytes(content)
        (folder / "meta.json").write_text(json.dumps(meta))


def files(root):
    return sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file())


def test_an_artefact_is_there_after_it_was_written(store):
    assert not store.has("abc123")
    put(store, cost=3)
    assert store.has("abc123")
    assert (store.checked("abc123") / "weights.bin").read_bytes() == b"weights"
    assert store.meta("abc123") == {"cost": 3}
    assert not list((store.root / "staging").iterdir())


def test_opening_and_reading_creates_nothing(tmp_path):
    store = Store(tmp_path / "none")
    assert not store.has("abc123")
    assert store.record("abc123") is None
    assert store.status("abc123") is None
    assert store.log("abc123") is None
    assert not (tmp_path / "none").exists()


def test_a_missing_artefact_is_a_clear_error(store):
    for read in (store.checked, store.meta):
        with pytest.raises(StoreError, match="not in the store"):
            read("abc123")


def test_nothing_remains_of_a_writer_that_raises(store):
    with pytest.raises(TypeError), store.writing("abc123") as folder:
        (folder / "weights.bin").write_bytes(b"half" + None)
    assert not store.has("abc123")
    assert files(store.root) == ["store.json"]


def test_an_error_of_a_plugin_inside_a_write_stays_what_it_is(store):
    with pytest.raises(FileNotFoundError), store.writing("abc123"):
        Path("/no/such/file").read_bytes()


def test_the_first_of_two_writers_wins(store):
    with store.writing("abc123") as slow:
        (slow / "weights.bin").write_bytes(b"slow")
        put(store, content=b"fast")
    assert (store.checked("abc123") / "weights.bin").read_bytes() == b"fast"
    assert not list((store.root / "staging").iterdir())


def test_files_get_the_mode_of_the_umask(store):
    with store.writing("abc123") as folder:
        (folder / "private.bin").write_bytes(b"x")
        (folder / "private.bin").chmod(0o600)
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE((store.path("abc123") / "private.bin").stat().st_mode) == 0o666 & ~umask


@pytest.mark.parametrize("key", ["../../etc", "a/b", "", ".", "x" * 65])
def test_a_key_cannot_lead_out_of_the_store(store, key):
    with pytest.raises(ValueError, match="not a valid identity"):
        store.path(key)
    with pytest.raises(ValueError, match="not a valid identity"):
        store.put_record({"id": key, "status": "ok"})


def test_a_store_can_be_sent_to_another_process(store):
    put(store)
    assert pickle.loads(pickle.dumps(store)).has("abc123")


# --- damage -----------------------------------------------------------------------------------------------------


def flipped(folder):
    (folder / "weights.bin").write_bytes(b"weighTs")


def meta_changed(folder):
    (folder / "meta.json").write_text('{"cost": 4}')


def of_another_key(folder):
    text = (folder / "digest.json").read_text()
    (folder / "digest.json").write_text(text.replace("abc123", "abc124"))


HARM = {
    "truncated": lambda folder: (folder / "weights.bin").write_bytes(b"weig"),
    "flipped": flipped,
    "gone": lambda folder: (folder / "weights.bin").unlink(),
    "foreign": lambda folder: (folder / "state.bin").write_bytes(b"of another"),
    "without digest": lambda folder: (folder / "digest.json").write_bytes(b""),
    "meta changed": meta_changed,
    "of another key": of_another_key,
}


@pytest.mark.parametrize("harm", HARM.values(), ids=HARM)
def test_a_damaged_artefact_is_quarantined_and_can_be_made_again(store, harm, caplog):
    put(store, cost=3)
    harm(store.path("abc123"))
    fresh = Store(store.root)
    with pytest.raises(StoreError, match="quarantined"):
        fresh.checked("abc123")
    assert not fresh.has("abc123")
    assert "quarantined" in caplog.text
    (damage,) = fresh.damage
    assert damage.key == "abc123"
    assert damage.where.is_dir()
    assert damage.why in damage.where.with_name(f"{damage.where.name}.txt").read_text()
    put(store, cost=3)
    assert Store(store.root).checked("abc123")


def test_an_artefact_is_examined_once_per_process(store):
    put(store)
    store.checked("abc123")
    assert Store(store.root).checked("abc123")
    flipped(store.path("abc123"))
    assert store.checked("abc123")
    with pytest.raises(StoreError, match="quarantined"):
        Store(store.root).checked("abc123")
    assert not store.has("abc123")


def test_meta_notices_damage_by_itself(store):
    put(store, cost=3)
    meta_changed(store.path("abc123"))
    with pytest.raises(StoreError, match=r"meta\.json does not match its digest"):
        store.meta("abc123")


def test_a_folder_without_digests_is_replaced(store):
    store.path("abc123").mkdir(parents=True)
    (store.path("abc123") / "stray").write_text("x")
    assert not store.has("abc123")
    put(store)
    assert Store(store.root).checked("abc123")
    assert len(store.damage) == 1


def test_a_sound_artefact_written_meanwhile_is_not_lost(store):
    put(store)
    store._quarantine("abc123", store.path("abc123"), "it was damaged a moment ago")
    assert Store(store.root).checked("abc123")
    assert not store.damage


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_changed_byte_is_noticed(tmp_path_factory, data):
    store = Store(tmp_path_factory.mktemp("store"))
    put(store, content=b"0123456789", cost=3)
    path = store.path("abc123") / data.draw(st.sampled_from(["weights.bin", "meta.json"]))
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    with pytest.raises(StoreError, match="quarantined"):
        store.checked("abc123")


# --- records ----------------------------------------------------------------------------------------------------


def test_a_record_comes_back_as_it_was_put(store):
    record = {"id": "abc123", "status": "ok", "metrics": {"top1": 0.1}, "confusion": [[1, 2]], "n": None}
    store.put_record(record)
    assert store.record("abc123") == record
    assert store.status("abc123") == "ok"
    assert store.record("nothing") is None


def test_a_failure_is_replaced_by_a_success_and_never_the_other_way(store):
    store.put_record({"id": "abc123", "status": "failed", "n": 1})
    store.put_record({"id": "abc123", "status": "failed", "n": 2})
    assert store.record("abc123") == {"id": "abc123", "status": "failed", "n": 2}
    store.put_record({"id": "abc123", "status": "ok"})
    store.put_record({"id": "abc123", "status": "failed"})
    assert store.status("abc123") == "ok"


@pytest.mark.parametrize(
    "content", [b"", b'{"id": "abc123", "sta', b"[]", b'{"id": "abc124", "status": "ok"}', b"\xff\xfe", b'{"id":1}']
)
def test_a_damaged_record_counts_as_none_and_is_quarantined(store, content):
    store.put_record({"id": "abc123", "status": "ok"})
    (store.root / "records" / "ab" / "abc123.json").write_bytes(content)
    assert store.status("abc123") is None
    assert store.record("abc123") is None
    assert len(store.damage) == 1
    assert len(files(store.root / "damaged")) == 2
    store.put_record({"id": "abc123", "status": "ok"})
    assert store.status("abc123") == "ok"


def test_a_discarded_artefact_is_gone_and_can_be_made_again(store):
    put(store)
    store.put_record({"id": "abc123", "status": "ok"})
    for _ in range(2):
        store.discard("abc123")
        assert not store.has("abc123")
        assert store.record("abc123") is None
        assert files(store.root) == ["store.json"]
    put(store)
    assert Store(store.root).checked("abc123")


# --- what the system refuses ------------------------------------------------------------------------------------

REFUSED = [errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EIO]


@pytest.mark.parametrize("number", REFUSED, ids=errno.errorcode.get)
@pytest.mark.parametrize("call", ["flush", "write", "move"])
def test_every_refusal_of_the_system_is_an_error_and_leaves_nothing(store, monkeypatch, number, call):
    put(store, "before1")

    def refuse(*args):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(atomic_files, call, refuse)
    with pytest.raises(StoreError) as caught:
        put(store)
    assert os.strerror(number) in str(caught.value)
    assert str(store.path("abc123")) in str(caught.value)
    assert "try: " in str(caught.value)
    assert caught.value.exit_code == 2
    if call != "flush":
        with pytest.raises(StoreError):
            store.put_record({"id": "abc123", "status": "ok"})
    monkeypatch.undo()
    assert not store.has("abc123")
    assert store.record("abc123") is None
    assert not list((store.root / "staging").iterdir())


@pytest.mark.parametrize("number", REFUSED, ids=errno.errorcode.get)
def test_a_lease_that_cannot_be_written_is_an_error(store, monkeypatch, number):
    store.check_writable()

    def refuse(*args):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(StoreError, match="lease"):
        store.lease("abc123")


def test_the_error_number_in_the_text_of_a_rust_library_is_read(store):
    class SafetensorError(Exception):
        pass

    with pytest.raises(StoreError, match="cannot be written") as caught, store.writing("abc123"):
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")
    assert caught.value.why == f"the disk is full: {os.strerror(errno.ENOSPC)}"


@pytest.fixture
def mount(tmp_path):
    """Return a function that mounts a small file system; skips where that is not allowed."""
    mounted = []

    def make(options):
        folder = tmp_path / "mounted"
        folder.mkdir(exist_ok=True)
        made = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, text=True, check=False
        )
        if made.returncode:
            pytest.skip(f"cannot mount a file system here: {made.stderr.strip()}")
        mounted.append(folder)
        return folder

    yield make
    for folder in mounted:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_an_error_and_nothing_half_written_is_visible(mount):
    store = Store(mount("size=600k") / "store")
    put(store, "first1", bytes(100_000))
    for write in (
        lambda folder: (folder / "weights.bin").write_bytes(bytes(900_000)),
        lambda folder: save_tensors(folder / "weights.safetensors", 900_000),
    ):
        with pytest.raises(StoreError, match="cannot be written") as caught, store.writing("second"):
            write(store._staging / next(p.name for p in store._staging.iterdir()))
        assert caught.value.why == f"the disk is full: {os.strerror(errno.ENOSPC)}"
        assert not store.has("second")
        assert not list((store.root / "staging").iterdir())
    assert Store(store.root).checked("first1")
    with pytest.raises(OSError, match="No space"):
        fill(store.root / "filling")
    with pytest.raises(StoreError, match="cannot be written"):
        store.check_writable()
    with pytest.raises(StoreError, match="record"):
        store.put_record({"id": "abc123", "status": "ok"})
    (store.root / "filling").unlink()
    store.check_writable()
    put(store, "second", bytes(100_000))
    assert Store(store.root).checked("second")


def fill(path):
    with path.open("wb") as file:
        while True:
            file.write(bytes(4096))
            file.flush()


def save_tensors(path, size):
    numpy = pytest.importorskip("numpy")
    from safetensors.numpy import save_file

    save_file({"x": numpy.zeros(size, dtype=numpy.uint8)}, path)


def test_a_read_only_store_can_be_read_and_says_that_it_cannot_be_written(mount):
    folder = mount("size=1m")
    put(Store(folder / "store"))
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
    store = Store(folder / "store")
    assert Store(store.root).checked("abc123")
    for write in (
        lambda: put(store, "other1"),
        lambda: store.put_record({"id": "abc123", "status": "ok"}),
        lambda: store.lease("abc123"),
        store.check_writable,
    ):
        with pytest.raises(StoreError) as caught:
            write()
        assert caught.value.why == os.strerror(errno.EROFS)
    store.sweep()
    store.put_log("abc123", "a log is not worth failing for")


def test_a_store_below_a_file_is_an_error(tmp_path):
    (tmp_path / "file").write_text("x")
    store = Store(tmp_path / "file" / "store")
    assert store.record("abc123") is None
    with pytest.raises(StoreError, match="cannot be written"):
        store.check_writable()


def test_a_store_of_a_newer_format_is_refused(store):
    put(store)
    (store.root / "store.json").write_text('{"format": 99}')
    with pytest.raises(StoreError, match=r"format 99.*formats up to 1"):
        Store(store.root)
    (store.root / "store.json").write_text("nonsense")
    with pytest.raises(StoreError, match="does not state its format"):
        Store(store.root)


# --- death ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_writer_killed_at_a_random_moment_leaves_nothing_broken(tmp_path):
    root = tmp_path / "store"
    chance = random.Random(0)
    for _ in range(25):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(root)], stdout=subprocess.PIPE, text=True)
        writer.stdout.readline()
        time.sleep(chance.uniform(0.0, 0.3))
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        assert writer.returncode == -signal.SIGKILL
    store = Store(root)
    keys = [p.name for p in (root / "jobs").glob("*/*")]
    assert len(keys) > 25
    assert all(map(store.checked, keys))
    records = [p.stem for p in (root / "records").glob("*/*.json")]
    assert len(records) > 25
    assert all(map(store.record, records))
    assert set(records) <= set(keys)
    assert not store.damage


def test_files_of_dead_writers_are_swept_after_a_day(store):
    put(store)
    old, new = store._staged("old1"), store._staged("new1")
    old.mkdir()
    (old / "half.bin").write_bytes(b"x")
    new.mkdir()
    lease = store.lease("dead12")
    yesterday = time.time() - 90_000
    for path in (old / "half.bin", old, lease.path):
        os.utime(path, (yesterday, yesterday))
    store.sweep()
    assert not old.exists()
    assert new.exists()
    assert not lease.path.exists()
    assert store.has("abc123")


def test_logs_are_kept_by_key(store):
    store.put_log("abc123", "Traceback: ünicode")
    assert store.log("abc123") == "Traceback: ünicode"
    assert store.log_path("abc123").name == "abc123.log"
