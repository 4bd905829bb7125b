"""kill -9, of a worker and of the command, at any moment."""

from __future__ import annotations

import random
import subprocess
import time
from pathlib import Path

import pytest
from trial import Trial, finished, kill_workers, repeat_fault, wait_until_working

TRIES = 20


@pytest.mark.slow
def test_kill_9_of_a_worker_costs_what_it_was_at(undisturbed: Trial, tmp_path: Path) -> None:
    chance = random.Random(1)
    trial = Trial(tmp_path)
    process = trial.start("--retries", str(TRIES))
    kill_workers(trial, process, chance, TRIES, seconds=0.04)
    finished(process)
    trial.check(undisturbed, lost=TRIES)


@pytest.mark.slow
def test_kill_9_of_the_command_costs_what_was_in_flight(undisturbed: Trial, tmp_path: Path) -> None:
    chance = random.Random(2)

    def kill(trial: Trial, process: subprocess.Popen) -> bool:
        if chance.random() < 0.8:
            there = wait_until_working(trial, process, chance.uniform(0.0, 0.4))
        else:
            time.sleep(chance.uniform(0.0, 1.0))
            there = process.poll() is None
        if there:
            process.kill()
            process.communicate()
        return there

    repeat_fault(tmp_path, undisturbed, kill, tries=TRIES, lost=1)
