"""A run of `ltbench` that something happens to: pretended trainings, everything else as it is."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ltbench.cli import main
from ltbench.store.store import Store

SUITE = """
schema = 1
name = "tiny"
title = "Tiny"
question = "Does it run?"
datasets = ["fashion_mini"]
imbalance_factors = [50, 100]
models = ["convnet"]
techniques = ["cb_sampler", "mixup", "tta"]
seeds = [0, 1]
figures = []

[recipe]
steps = 6
batch_size = 16
lr = 0.05
precision = "fp32"
"""
CELLS, FITS, JOBS = 32, 16, 80
_started: list[subprocess.Popen] = []
PUBLISHED = ("README.md", "table.csv", "records.jsonl")


class Trial:
    """A folder with a suite, a store, a leaderboard and a journal. options: how jobs behave, see `pretend`."""

    def __init__(self, folder: Path, *, store: Path | None = None, **options: object) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.options = folder, options
        self.root = store or folder / "store"
        self.journal = folder / "journal"
        (folder / "tiny.toml").write_text(SUITE)

    @property
    def store(self) -> Store:
        return Store(self.root)

    def start(
        self, *args: str, workers: int = 2, env: dict[str, str] | None = None, **options: object
    ) -> subprocess.Popen:
        """Start the command; what it says comes together."""
        command = [sys.executable, "-m", "pretend", "run", "--suite", "tiny.toml", "--workers", str(workers), *args]
        mine = {
            "LTBENCH_STORE": str(self.root),
            "PRETEND": json.dumps(self.options | options),
            "PRETEND_JOURNAL": str(self.journal),
            "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
        }
        process = subprocess.Popen(
            command,
            cwd=self.folder,
            env=os.environ | mine | (env or {}),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        _started.append(process)
        return process

    def run(self, *args: str, **kwargs: object) -> str:
        """Run the command to its end and return what it said; it has to succeed."""
        return finished(self.start(*args, **kwargs))

    def publish(self, code: int = 0) -> None:
        """Publish as the command does that finds everything done: in this process, where libraries load once."""
        folder = self.folder / "leaderboards"
        suite = ["--suite", str(self.folder / "tiny.toml"), "--store", str(self.root), "--leaderboards", str(folder)]
        with pytest.raises(SystemExit) as ended:
            main(["run", *suite, "--executor", "inline"])
        assert ended.value.code == code

    def published(self) -> dict[str, bytes]:
        return {name: (self.folder / "leaderboards" / "tiny" / name).read_bytes() for name in PUBLISHED}

    def lines(self, what: str) -> list[str]:
        """Return the keys, in order, that jobs wrote down."""
        return [key for said, key, _ in self.told() if said == what]

    def told(self) -> list[list[str]]:
        with contextlib.suppress(FileNotFoundError):
            return [line.split() for line in self.journal.read_text().splitlines()]
        return []

    def workers(self) -> list[int]:
        """Return the processes that have begun a job, in the order in which they first did."""
        return list(dict.fromkeys(int(pid) for said, _, pid in self.told() if said == "began"))

    def check(self, undisturbed: Trial, *, lost: int, made_again: set[str] = frozenset()) -> None:
        """See that nothing is broken, nothing was done twice but what was lost, and the page is as it should be.

        lost: how many jobs may have been begun in vain. made_again: what was damaged after it was made.
        """
        self.publish()
        assert self.published() == undisturbed.published()
        store = self.store
        keys = sorted(p.name for p in (self.root / "jobs").glob("*/*"))
        assert keys == sorted(p.name for p in (undisturbed.root / "jobs").glob("*/*"))
        assert all(store.verify(key) for key in keys)
        made: set[str] = set()
        for said, key, _ in self.told():
            assert said != "began" or key not in made - made_again, f"{key} was done again"
            if said == "made":
                made.add(key)
        began = self.lines("began")
        assert len(began) <= JOBS + lost + 2 * len(made_again)
        assert not list((self.root / "leases").glob("*.guard"))


def finished(process: subprocess.Popen, code: int = 0, *, seconds: float = 120.0) -> str:
    """Wait for a command to end with that code, and return what it said: never a traceback."""
    said = process.communicate(timeout=seconds)[1]
    assert process.returncode == code, said
    assert "Traceback" not in said, said
    return said


def kill_started() -> None:
    """Kill what was started and is still there: a test has failed."""
    while _started:
        process = _started.pop()
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        process.stderr.close()


def wait_for(condition, process: subprocess.Popen | None = None, seconds: float = 60.0):
    """Wait until something is so, or the process has ended; return what it was."""
    deadline = time.monotonic() + seconds
    while not (found := condition()) and (process is None or process.poll() is None):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.005)
    return found


def harass(folder: Path, undisturbed: Trial, fault, *, tries: int, lost: int, workers: int = 1) -> None:
    """Have a fault strike a command so many times, let it come to an end, and check what is left.

    fault: strikes a process and returns whether it did so before the process was done. lost: how many jobs that may
    cost each time.
    """
    struck = rounds = 0
    while struck < tries:
        trial, before = Trial(folder / str(rounds), seconds=0.2), struck
        while struck < tries and fault(trial, trial.start(workers=workers)):
            struck += 1
        trial.run(seconds=0.0)
        trial.check(undisturbed, lost=lost * (struck - before))
        rounds += 1


def at_work(trial: Trial, process: subprocess.Popen, seconds: float) -> bool:
    """Wait until a worker of the process has begun a job, and so many seconds more; return whether it is still there."""
    wait_for(lambda: any(_group(pid) == process.pid for pid in trial.workers()), process)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=seconds)
    return process.poll() is None


def _group(pid: int) -> int:
    with contextlib.suppress(ProcessLookupError):
        return os.getpgid(pid)  # every command is started as the leader of its own
    return 0


def begins_task(trial: Trial, process: subprocess.Popen, seconds: float) -> bool:
    """Wait until a worker has begun a task of the process, and so many seconds more; return whether it is still there.

    Workers of a cluster that stays may be at a task of the command before it, which they began before this was called.
    """
    before = tasks(trial)
    wait_for(lambda: tasks(trial) - before, process)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=seconds)
    return process.poll() is None


def tasks(trial: Trial) -> set[str]:
    return {path.name for path in (trial.root / "leases").glob("ltbench-*.lease")}


def kill_workers(trial: Trial, process: subprocess.Popen, chance: random.Random, tries: int, *, seconds: float) -> None:
    """Kill so many workers of a command, each at most so many seconds after it has begun a job."""
    killed: set[int] = set()
    while len(killed) < tries:
        fresh = wait_for(lambda: [pid for pid in trial.workers() if pid not in killed], process)
        time.sleep(chance.uniform(0.0, seconds))
        os.kill(fresh[0], signal.SIGKILL)
        killed.add(fresh[0])
