"""Two machines whose clocks are an hour apart, of which one dies again and again."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path

import pytest
from dask_processes import start_cluster
from trial import Trial, finished, kill_workers, wait_until_working

TRIES = 20
TTL = 1.5
# Debian's faketime would move the clock below Python, but its 0.9.10 breaks the waits of Python 3.11's threads: an
# Event.wait never returns. So the clock that Python sees is moved, in the command and in its workers.
AHEAD = {"place": "there", "hours": 1}


@pytest.mark.slow
def test_a_machine_takes_over_from_one_whose_clock_is_an_hour_ahead_when_that_one_dies(
    undisturbed: Trial, tmp_path: Path
) -> None:
    chance = random.Random(8)
    kills = rounds = 0
    while kills < TRIES:
        trial, mine = Trial(tmp_path / str(rounds), seconds=0.2, ttl=TTL), 0
        here = trial.start(workers=1, place="here")
        while here.poll() is None:
            there = trial.start(workers=1, **AHEAD)
            if not wait_until_working(trial, there, chance.uniform(0.0, 1.0)):
                finished(there)
                break
            os.killpg(there.pid, signal.SIGKILL)
            there.communicate()
            mine += 1
        finished(here)
        trial.check(undisturbed, lost=mine)
        kills += mine
        rounds += 1


@pytest.mark.slow
def test_machines_whose_clocks_differ_do_every_job_once(undisturbed: Trial, tmp_path: Path) -> None:
    trial = Trial(tmp_path, seconds=0.1, ttl=TTL)
    both = [
        trial.start(workers=1, place="here"),
        trial.start(workers=1, **AHEAD),
    ]
    for process in both:
        finished(process)
    assert len(trial.workers()) == 2
    trial.check(undisturbed, lost=0)


@pytest.mark.slow
def test_workers_of_dask_whose_clocks_are_an_hour_ahead_die_and_cost_what_they_were_at(
    undisturbed: Trial, tmp_path: Path
) -> None:
    """A worker on another machine leaves its lease behind, which expires by the clock of the file system alone."""
    chance = random.Random(10)
    trial = Trial(tmp_path, seconds=0.1, ttl=TTL)
    with start_cluster(trial, **AHEAD) as cluster:
        where = f"dask[scheduler={cluster.address}]"
        process = trial.start("--executor", where, "--retries", str(TRIES), place="here")
        kill_workers(trial, process, chance, TRIES, seconds=0.2)
        finished(process)
    trial.check(undisturbed, lost=TRIES)
