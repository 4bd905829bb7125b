"""The same faults on a Dask cluster, and the one that only it has: kill -9 of the scheduler.

A worker is started anew by its nanny, which takes seconds. The page that all of them are held against was made on local
workers.
"""

from __future__ import annotations

import random
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest
from dask_processes import start_cluster
from signals import stop_once, stop_twice
from trial import Trial, finished, kill_workers, wait_until_task_runs

from ltbench.errors import INTERRUPTED

pytestmark = pytest.mark.slow
TRIES = 20
AT_ONCE = 5
"""Strikes that one trial takes, as a command on Dask takes seconds to begin."""


def repeat_fault(folder: Path, undisturbed: Trial, fault, *, lost: int) -> None:
    """Have a fault strike commands, by turns with workers of their own and on a cluster that stays; check what is left.

    fault: strikes a process and returns whether it did so before the process was done. lost: how many jobs that may
    cost each time.
    """
    struck = rounds = 0
    while struck < TRIES:
        trial, mine = Trial(folder / str(rounds), seconds=0.2), 0
        with ExitStack() as stack:
            own = rounds % 2 == 0
            text = "dask" if own else f"dask[scheduler={stack.enter_context(start_cluster(trial)).address}]"
            process = trial.start("--executor", text)
            while mine < AT_ONCE and fault(trial, process):
                mine += 1
                process = trial.start("--executor", text)
            finished(process)
        trial.check(undisturbed, lost=lost * mine)
        struck += mine
        rounds += 1
        assert rounds < TRIES, "commands end before anything strikes them"


def test_kill_9_of_a_worker_costs_what_it_was_at(undisturbed: Trial, tmp_path: Path) -> None:
    chance = random.Random(1)
    trial = Trial(tmp_path, seconds=0.1)
    process = trial.start("--executor", "dask", "--retries", str(TRIES))
    kill_workers(trial, process, chance, TRIES, seconds=0.2)
    finished(process)
    trial.check(undisturbed, lost=TRIES)


def test_kill_9_of_the_scheduler_is_told_and_the_same_command_goes_on(undisturbed: Trial, tmp_path: Path) -> None:
    chance = random.Random(2)
    struck = rounds = 0
    while struck < TRIES:
        trial, mine = Trial(tmp_path / str(rounds), seconds=0.2), 0
        code = INTERRUPTED
        while code == INTERRUPTED:
            with start_cluster(trial, f"cluster-{mine}") as cluster:
                process = trial.start("--executor", f"dask[scheduler={cluster.address}]")
                if mine < AT_ONCE and wait_until_task_runs(trial, process, chance.uniform(0.0, 0.4)):
                    cluster.scheduler.kill()
                    mine += 1
                code = process.wait(timeout=120)
                said = finished(process, code)
                if code == INTERRUPTED:
                    assert f"the Dask scheduler {cluster.address} is lost" in said
                    assert "run the same command to continue" in said
        assert code == 0, said
        trial.check(undisturbed, lost=2 * mine)
        struck += mine
        rounds += 1
        assert rounds < TRIES, "commands end before anything strikes them"


def test_kill_9_of_the_command_costs_what_was_in_flight(undisturbed: Trial, tmp_path: Path) -> None:
    chance = random.Random(3)

    def kill(trial: Trial, process: subprocess.Popen) -> bool:
        there = wait_until_task_runs(trial, process, chance.uniform(0.0, 0.4))
        if there:
            process.kill()
            process.communicate()
        return there

    repeat_fault(tmp_path, undisturbed, kill, lost=2)


def test_one_signal_finishes_what_is_in_flight(undisturbed: Trial, tmp_path: Path) -> None:
    chance = random.Random(4)

    def stop(trial: Trial, process: subprocess.Popen) -> bool:
        return wait_until_task_runs(trial, process, chance.uniform(0.0, 0.3)) and stop_once(trial, process, chance)

    repeat_fault(tmp_path, undisturbed, stop, lost=0)


def test_two_signals_stop_now(undisturbed: Trial, tmp_path: Path) -> None:
    chance = random.Random(5)

    def stop(trial: Trial, process: subprocess.Popen) -> bool:
        return wait_until_task_runs(trial, process, chance.uniform(0.0, 0.3)) and stop_twice(trial, process, chance)

    repeat_fault(tmp_path, undisturbed, stop, lost=2)
