"""What is going on in a store, told without writing to it: the living, the dead, and those of other machines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import msgspec
import pytest
from fakes import wait_for
from support import call, import_path_env, imported

from ltbench.running import run_record
from ltbench.running.run_record import Part, Run, RunningJob, TimePrediction, lease_key, write
from ltbench.running.store_status import store_status
from ltbench.store.leases import Owner


def noted(store, name="20300101T000000-aa", state="running", **changes):
    told = {
        "command": ("ltbench", "run"), "suite": "quick", "executor": "local", "workers": 2, "host": "far",
        "pid": 7, "began": "2030-01-01T00:00:00Z",
    }  # fmt: skip
    run = Run(id=name, state=state, **told | changes)
    write(store.root, run)
    return run


def leased(store, key, touched=0.0, place="far boot", pid=7):
    """Write a lease of another machine, touched so many seconds ago."""
    store.leases.folder.mkdir(parents=True, exist_ok=True)
    path = store.leases.path(key)
    path.write_bytes(msgspec.json.encode(Owner(place=place, pid=pid, start="1", nonce="n")))
    os.utime(path, (time.time() - touched,) * 2)
    return path


def states(status):
    return [seen.state for seen in (*status.running, *status.recent)]


def no_waiting(seconds):
    raise AssertionError("there is no doubt")


def test_a_run_that_lost_its_lease_is_dead(store):
    noted(store)
    assert states(store_status(store, wait=no_waiting)) == ["died"]


def test_a_run_of_this_machine_whose_process_is_gone_is_dead_at_once(store):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    run = noted(store)
    lease = store.lease(lease_key(run.id))
    owner = store.leases.owner(lease_key(run.id))
    leased(store, lease_key(run.id), place=owner.place, pid=gone.pid)
    assert states(store_status(store, wait=no_waiting)) == ["died"]
    lease.release()


@pytest.mark.parametrize(("touched", "state"), [(3.0, "running"), (7 * 86_400, "died")], ids=["just now", "last week"])
def test_a_lease_of_another_machine_without_doubt_is_not_waited_for(store, touched, state):
    run = noted(store)
    leased(store, lease_key(run.id), touched=touched)
    assert states(store_status(store, wait=no_waiting)) == [state]


@pytest.mark.parametrize("touched", [3600.0, -3600.0])
def test_clocks_that_differ_are_no_death_where_the_lease_is_touched_again(store, touched):
    run = noted(store)
    path = leased(store, lease_key(run.id), touched=touched)
    waits = []

    def beat(seconds):
        waits.append(seconds)
        os.utime(path, (time.time() - touched + seconds,) * 2)

    assert states(store_status(store, wait=beat)) == ["running"]
    assert waits == [7.5]  # a beat of five seconds, and some
    assert states(store_status(store, wait=lambda _: None)) == ["died"]


def test_jobs_in_flight_age_with_the_last_sign_of_life(store):
    run = noted(store, in_flight=(RunningJob(key="k", kind="fit", about="x", seconds=10.0),))
    record = store.root / "runs" / f"{run.id}.json"
    os.utime(record, (time.time() - 24,) * 2)
    leased(store, lease_key(run.id), touched=4.0)
    (seen,) = store_status(store).running
    assert seen.quiet == pytest.approx(20, abs=0.5)


def test_jobs_that_no_run_tells_of_are_shown_with_their_process(store):
    run = noted(store, in_flight=(RunningJob(key="mine", kind="fit", about="x", seconds=10.0),))
    for key in (lease_key(run.id), "mine", "theirs"):
        leased(store, key)
    leased(store, "dead", touched=10 * 86_400)
    assert [(held.key, held.host, held.pid) for held in store_status(store).held] == [("theirs", "far", 7)]


def test_the_last_runs_are_told_and_one_that_lives_whenever_it_began(store):
    first = noted(store, "20300101T000000-aa")
    leased(store, lease_key(first.id))
    for day in range(2, 9):
        noted(store, f"2030010{day}T000000-aa", state="done")
    (store.root / "runs" / "20300109T000000-aa.json").write_text("{ torn")
    status = store_status(store, last=2)
    assert [seen.id for seen in status.running] == [first.id]
    assert [seen.id[:8] for seen in status.recent] == ["20300108", "20300107"]


def called(store, *args):
    return call("status", "--store", store.root, *args).stdout


def test_a_store_on_which_nothing_ran_says_so_and_stays_as_it_is(store):
    assert called(store) == f"no runs on {store.root} yet\n"
    assert json.loads(called(store, "--json"))["running"] == []
    assert not store.root.exists()


def test_the_command_shows_what_runs_and_how_runs_ended(store):
    run = noted(
        store, cells=48, done=12, failed=1, jobs=99, jobs_done=30, eta=125.0, began="2030-01-01T00:00:00Z",
        in_flight=(RunningJob(key="0123456789abcdef", kind="fit", about="tiny 100 net mixup", seconds=75.0),),
    )  # fmt: skip
    leased(store, lease_key(run.id))
    guesses = (
        TimePrediction(after=0.0, elapsed=0.0, predicted=None, ratio=None),
        TimePrediction(after=0.11, elapsed=9.0, predicted=110.0, ratio=1.1),
    )
    noted(store, "20291231T000000-bb", "done", cells=3, done=3, seconds=100.0,
          parts=(Part(jobs=9, seconds=100.0, guesses=guesses),))  # fmt: skip
    before = sorted((path, path.stat().st_mtime_ns) for path in store.root.rglob("*"))
    text = called(store)
    assert sorted((path, path.stat().st_mtime_ns) for path in store.root.rglob("*")) == before
    assert "on far, process 7, local with 2 workers" in text
    assert "cells 12/48 done, 1 failed; jobs 30/99; ETA 2 min 5 s" in text
    assert "fit     0123456789ab    1 min 15 s  tiny 100 net mixup" in text
    assert "1 min 50 s (unknown)  1 min 40 s, x1.10" in text
    facts = json.loads(called(store, "--json"))
    assert (facts["running"][0]["state"], facts["recent"][0]["parts"][0]["guesses"][1]["ratio"]) == ("running", 1.1)


def test_a_read_only_store_is_read(store):
    noted(store, state="done")
    store.root.chmod(0o500)
    try:
        assert "done" in called(store)
    finally:
        store.root.chmod(0o700)


def test_status_starts_without_torch(store):
    noted(store, state="done")
    assert imported("status", "--store", store.root).isdisjoint({"torch", "numpy", "pandas"})


RUN = """
import sys
from fakes import WORK, context, accept_fake_records, tree
from ltbench.executor import Terms
from ltbench.executors.inline import Inline
from ltbench.running.run_log import RunLog
from ltbench.running.runner import run
accept_fake_records()
here = context(sys.argv[1])
with Inline(here, Terms(work=WORK)) as executor, RunLog(
    here.store, command=["ltbench", "run"], suite="quick", executor="inline", workers=1
) as log:
    run(tree(fits=2, cells=1, sleeps=60), here, executor, on_event=log)
"""


def test_a_run_is_seen_from_outside_and_seen_dead_when_it_was_killed(store):
    other = subprocess.Popen([sys.executable, "-c", RUN, str(store.root)], env=os.environ | import_path_env())
    try:
        flying = wait_for(lambda: [f for seen in store_status(store).running for f in seen.in_flight])
        assert [flight.key for flight in flying] == ["fit0"]
        assert store_status(store).running[0].pid == other.pid
    finally:
        other.kill()
        other.wait()
    assert states(store_status(store, wait=no_waiting)) == ["died"]
    assert run_record.read(store.root)[0].state == "running"
