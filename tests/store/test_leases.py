"""Leases: one owner at a time, whatever dies and whatever the clocks say."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import msgspec
import pytest

from ltbench.core.processes import process_start
from ltbench.store import leases
from ltbench.store.leases import Leases, Owner

HOLDER = """
import sys, time
from pathlib import Path
from ltbench.store.leases import Leases
lease = Leases(Path(sys.argv[1]), float(sys.argv[2])).acquire("job1")
print("held" if lease else "busy", flush=True)
sys.stdin.readline()
if lease:
    lease.release()
"""
RACER = """
import sys, time
from pathlib import Path
from ltbench.store.leases import Leases
lines = Leases(Path(sys.argv[1]), float(sys.argv[2]))
print("ready", flush=True)
for line in sys.stdin:
    time.sleep(max(0.0, float(line) - time.time()))
    lease = lines.acquire("job1")
    print("held" if lease else "busy", flush=True)
"""


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "leases"


def python(source, *args):
    return subprocess.Popen(
        [sys.executable, "-c", source, *map(str, args)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def ask(process, line=""):
    process.stdin.write(f"{line}\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


def leave(folder, *, age=0.0, **owner):
    """Leave a lease of an owner that this test invents, `age` seconds old by the file system's clock."""
    folder.mkdir(exist_ok=True)
    path = folder / "job1.lease"
    made = Owner(**({"place": "another machine", "pid": 1, "start": "1", "nonce": "x"} | owner))
    path.write_bytes(msgspec.json.encode(made))
    then = Leases(folder).now() - age
    os.utime(path, (then, then))
    return path


def test_a_lease_has_one_owner_at_a_time(folder):
    mine = Leases(folder)
    with mine.acquire("job1") as lease:
        assert lease is not None
        assert mine.acquire("job1") is None
        assert Leases(folder).acquire("job1") is None
        assert mine.is_held("job1")
        assert mine.owner("job1").pid == os.getpid()
        assert mine.acquire("job2") is not None
    assert not mine.is_held("job1")
    assert mine.acquire("job1") is not None


def test_another_process_gets_a_lease_only_after_its_release(folder):
    holder = python(HOLDER, folder, 60)
    assert holder.stdout.readline().strip() == "held"
    mine = Leases(folder)
    assert mine.acquire("job1") is None
    ask(holder)
    holder.communicate()
    assert mine.acquire("job1") is not None


def test_the_lease_of_a_killed_process_of_this_machine_is_free_at_once(folder):
    holder = python(HOLDER, folder, 3600)
    assert holder.stdout.readline().strip() == "held"
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    mine = Leases(folder, 3600)
    assert not mine.is_held("job1")
    assert mine.acquire("job1") is not None
    assert sorted(p.name for p in folder.iterdir()) == ["job1.lease"]


def test_a_killed_process_is_dead_before_its_parent_has_noticed(folder):
    holder = python(HOLDER, folder, 3600)
    assert holder.stdout.readline().strip() == "held"
    holder.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 5
    while process_start(holder.pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert Leases(folder, 3600).acquire("job1") is not None  # a zombie: not waited for yet
    holder.communicate()


def test_a_process_number_used_again_is_another_process(folder):
    leave(folder, place=leases._place(), pid=os.getpid(), start="1")
    assert Leases(folder).acquire("job1") is not None


def test_a_process_of_another_place_counts_as_alive_until_its_lease_expires(folder):
    leave(folder, age=50, pid=2**22 + 1)
    assert Leases(folder, 60).acquire("job1") is None
    leave(folder, age=70, pid=2**22 + 1)
    assert Leases(folder, 60).acquire("job1") is not None


def test_expiry_goes_by_the_clock_of_the_file_system(folder, monkeypatch):
    leave(folder, age=5)
    for hours in (-1, 1):
        now = time.time()
        monkeypatch.setattr(time, "time", lambda now=now, hours=hours: now + hours * 3600)
        assert Leases(folder, 60).is_held("job1")
    leave(folder, age=100)
    assert not Leases(folder, 60).is_held("job1")


def test_a_lease_from_the_future_expires_after_a_ttl_without_change(folder):
    path = leave(folder, age=-3600)
    mine = Leases(folder, 0.3)
    assert mine.is_held("job1")
    time.sleep(0.2)
    then = mine.now() + 3700
    os.utime(path, (then, then))  # its owner lives
    time.sleep(0.2)
    assert mine.is_held("job1")
    time.sleep(0.4)
    assert mine.acquire("job1") is not None


def test_a_held_lease_is_kept_alive(folder):
    mine = Leases(folder, 0.6)
    with mine.acquire("job1"):
        time.sleep(1.5)
        assert Leases(folder, 0.6).is_held("job1")
        long_ago = time.time() - 3600
        os.utime(mine.path("job1"), (long_ago, long_ago))
        time.sleep(0.3)
        assert Leases(folder, 0.6).is_held("job1")


def test_an_owner_that_slept_too_long_notices_and_leaves_the_lease_of_the_next(folder):
    holder = python(HOLDER, folder, 0.5)
    assert holder.stdout.readline().strip() == "held"
    os.kill(holder.pid, signal.SIGSTOP)
    mine = Leases(folder, 0.5)
    deadline = time.monotonic() + 10
    while (lease := mine.acquire("job1")) is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert lease is not None
    os.kill(holder.pid, signal.SIGCONT)
    ask(holder)  # it releases what it believes to hold
    holder.communicate()
    assert mine.is_held("job1")
    assert mine.owner("job1").pid == os.getpid()
    assert Leases(folder, 60).acquire("job1") is None


def test_an_owner_notices_that_its_lease_was_taken_over(folder):
    lease = Leases(folder, 60).acquire("job1")
    leave(folder)
    lease.touch()
    assert lease.lost
    lease.release()
    assert lease.path.exists()


def test_a_lease_that_was_cut_short_while_being_written_expires(folder):
    path = leave(folder, age=10)
    path.write_bytes(b"")
    assert Leases(folder, 60).acquire("job1") is None
    long_ago = Leases(folder).now() - 70
    os.utime(path, (long_ago, long_ago))
    assert Leases(folder, 60).acquire("job1") is not None


def test_a_guard_left_by_a_process_that_died_inside_does_not_block_for_ever(folder):
    leave(folder, age=100)
    guard = folder / "job1.guard"
    guard.write_bytes(msgspec.json.encode(Owner(place="another machine", pid=1, start="1", nonce="y")))
    mine = Leases(folder, 60)
    assert mine.acquire("job1") is None
    assert guard.exists()
    long_ago = mine.now() - 100
    os.utime(guard, (long_ago, long_ago))
    assert mine.acquire("job1") is None
    assert mine.acquire("job1") is not None


@pytest.mark.parametrize("left", ["nothing", "expired", "dead"])
def test_of_processes_that_race_for_a_lease_exactly_one_wins(folder, left):
    racers = [python(RACER, folder, 60) for _ in range(3)]
    for racer in racers:
        assert racer.stdout.readline().strip() == "ready"
    for _ in range(30):
        (folder / "job1.lease").unlink(missing_ok=True)
        if left == "expired":
            leave(folder, age=100)
        elif left == "dead":
            leave(folder, place=leases._place(), pid=2**22 + 1)
        start = time.time() + 0.02
        for racer in racers:
            racer.stdin.write(f"{start}\n")
            racer.stdin.flush()
        said = [racer.stdout.readline().strip() for racer in racers]
        assert sorted(said) == ["busy", "busy", "held"]
    for racer in racers:
        racer.communicate()
