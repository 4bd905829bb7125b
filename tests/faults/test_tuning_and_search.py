"""Faults while a suite is tuned, and while it is searched: what is planned next depends on scores, and is planned again.

The same trials and the same path: a page with its `tuning.jsonl` and `search.json` is that of an undisturbed run, byte for byte.
"""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from dask_processes import executor_options
from signals import send
from support import suite_source
from trial import RUN, Trial, finished, kill_workers, wait_for, wait_until_task_runs

from ltbench.errors import INTERRUPTED

pytestmark = pytest.mark.slow
STRIKES = 3
_RECIPE = {"epochs": 6, "batch_size": 16, "lr": 0.05, "precision": "fp32"}
SUITE = suite_source(
    "tiny", _RECIPE, imbalance_factors=[50, 100], techniques=["cb_sampler", "mixup"], seeds=[0, 1], figures=[]
)
TUNED = SUITE + "\n[tune]\ntrials = 3\n"
SEARCH = ("search", "tiny.toml")
Fault = Callable[[Trial, subprocess.Popen], bool]


def undisturbed_trial(folder: Path, command: tuple[str, ...]) -> Trial:
    trial = Trial(folder, suite=TUNED, command=command)
    trial.run("--executor", "inline")
    trial.publish()
    return trial


@pytest.fixture(scope="module")
def tuning(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    """A tuned suite that nothing disturbed."""
    trial = undisturbed_trial(tmp_path_factory.mktemp("tuning"), RUN)
    assert "tuning.jsonl" in trial.published()
    return trial


@pytest.fixture(scope="module")
def search(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    """A search that then tuned the rows in the lead, and that nothing disturbed."""
    trial = undisturbed_trial(tmp_path_factory.mktemp("search"), SEARCH)
    assert {"tuning.jsonl", "search.json"} <= trial.published().keys()
    return trial


def strike(folder: Path, whole: Trial, kind: str, fault: Fault, moments: list[int], *, lost: int) -> None:
    """Have a fault strike commands once so many jobs are made, each going on from the last; check what is left.

    fault: returns whether it struck the process before this was done; lost: how many jobs that may cost each time.
    """
    struck = 0
    with executor_options(kind, trial := whole.again(folder, seconds=0.1)) as options:
        for moment in sorted(moments):
            process = trial.start(*options)
            # Before its first task it may not listen to signals yet.
            wait_until_task_runs(trial, process, 0.0)
            wait_for(lambda moment=moment: len(trial.lines("made")) >= moment, process)
            struck += fault(trial, process)
        finished(trial.start(*options))
    assert struck > 1, "commands end before anything strikes them"
    trial.check(whole, lost=lost * struck)


def moments(whole: Trial, seed: int) -> list[int]:
    jobs = len(set(whole.lines("began")))
    return random.Random(seed).sample(range(1, jobs - 5), STRIKES)


def kill(_: Trial, process: subprocess.Popen) -> bool:
    ended = process.poll() is not None
    process.kill()
    process.communicate()
    return not ended


def test_kill_9_of_a_run_that_tunes(tuning: Trial, tmp_path: Path) -> None:
    strike(tmp_path, tuning, "local", kill, moments(tuning, 1), lost=2)


@pytest.mark.parametrize("kind", ["local", "dask"])
def test_kill_9_of_a_search(kind: str, search: Trial, tmp_path: Path) -> None:
    strike(tmp_path, search, kind, kill, moments(search, 2), lost=2)


@pytest.mark.parametrize("kind", ["local", "dask"])
def test_a_signal_finishes_what_is_in_flight(kind: str, search: Trial, tmp_path: Path) -> None:
    chance = random.Random(3)

    def stop(trial: Trial, process: subprocess.Popen) -> bool:
        send(process, chance)
        if process.wait(timeout=60) == 0:
            return False
        # Between two rounds nothing is in flight, and the messages are others.
        said = finished(process, INTERRUPTED)
        assert "the same command" in said or "run the command again" in said
        assert sorted(trial.lines("began")) == sorted(trial.lines("made"))
        return True

    strike(tmp_path, search, kind, stop, moments(search, 3), lost=0)


@pytest.mark.parametrize("kind", ["local", "dask"])
def test_kill_9_of_workers_of_a_search(kind: str, search: Trial, tmp_path: Path) -> None:
    with executor_options(kind, trial := search.again(tmp_path, seconds=0.1)) as options:
        process = trial.start(*options, "--retries", str(STRIKES))
        kill_workers(trial, process, random.Random(4), STRIKES, seconds=0.2)
        finished(process)
    trial.check(search, lost=STRIKES)
