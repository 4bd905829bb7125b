"""Runs of `ltbench` with fake trainings (see `pretend`) for fault injection: start, strike, resume, compare."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support import import_path_env, suite_source

from ltbench.cli import main
from ltbench.executor import TASK_LEASE
from ltbench.store.store import Store

SUITE = suite_source(
    "tiny", {"steps": 6, "batch_size": 16, "lr": 0.05, "precision": "fp32"}, imbalance_factors=[50, 100],
    techniques=["cb_sampler", "mixup", "tta"], seeds=[0, 1], figures=[],
)  # fmt: skip
RUN = ("run", "--suite", "tiny.toml")
_started: list[subprocess.Popen] = []
PUBLISHED = ("README.md", "table.csv", "records.jsonl", "tuning.jsonl", "search.json")
"""Files of a page; the last two where rows were tuned or searched."""


class Trial:
    """A folder with a suite, a store, a leaderboard and a journal. options: how jobs behave, see `pretend`."""

    def __init__(
        self,
        folder: Path,
        *,
        store: Path | None = None,
        suite: str = SUITE,
        command: tuple[str, ...] = RUN,
        **options: object,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.suite, self.command, self.options = folder, suite, command, options
        self.root = store or folder / "store"
        self.journal = folder / "journal"
        (folder / "tiny.toml").write_text(suite)

    def again(self, folder: Path, **options: object) -> Trial:
        """Return a trial of the same command in another folder."""
        return Trial(folder, suite=self.suite, command=self.command, **options)

    @property
    def store(self) -> Store:
        return Store(self.root)

    def start(
        self, *args: str, workers: int = 2, env: dict[str, str] | None = None, **options: object
    ) -> subprocess.Popen:
        """Start the command."""
        command = [sys.executable, "-m", "pretend", *self.command, "--workers", str(workers), *args]
        own_env = {
            "LTBENCH_STORE": str(self.root),
            "PRETEND": json.dumps(self.options | options),
            "PRETEND_JOURNAL": str(self.journal),
        } | import_path_env()
        process = subprocess.Popen(
            command,
            cwd=self.folder,
            env=os.environ | own_env | (env or {}),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        _started.append(process)
        return process

    def run(self, *args: str, **kwargs: object) -> str:
        """Run the command to its end and return its stderr; assert success."""
        return finished(self.start(*args, **kwargs))

    def publish(self, code: int = 0) -> None:
        """Publish by running the command on a complete store: in this process, where libraries are loaded already."""
        # A page names the file of its suite as it is seen from here.
        with contextlib.chdir(self.folder), pytest.raises(SystemExit) as ended:
            main([*self.command, "--store", str(self.root.resolve()), "--executor", "inline"])
        assert ended.value.code == code

    def published(self) -> dict[str, bytes]:
        (page,) = (self.folder / "leaderboards" / "local").glob("tiny*")
        return {name: (page / name).read_bytes() for name in PUBLISHED if (page / name).exists()}

    def lines(self, what: str) -> list[str]:
        """Return the keys of the journal's lines with this event, in order."""
        return [key for event, key, _ in self.journal_lines() if event == what]

    def journal_lines(self) -> list[list[str]]:
        """Return event, key and pid of each line."""
        with contextlib.suppress(FileNotFoundError):
            # What is being written may be seen without its end.
            return [line.split() for line in self.journal.read_text().rpartition("\n")[0].splitlines()]
        return []

    def workers(self) -> list[int]:
        """Return the processes that have started a job, in the order of their first job."""
        return list(dict.fromkeys(int(pid) for event, _, pid in self.journal_lines() if event == "began"))

    def check(self, undisturbed: Trial, *, lost: int, made_again: set[str] = frozenset()) -> None:
        """Check that all artefacts are valid, only lost work was done twice, and the page equals the undisturbed one.

        lost: the most jobs that may have started without finishing. made_again: jobs damaged after they finished.
        """
        self.publish()
        assert self.published() == undisturbed.published()
        store = self.store
        keys = sorted(p.name for p in (self.root / "jobs").glob("*/*"))
        assert keys == sorted(p.name for p in (undisturbed.root / "jobs").glob("*/*"))
        assert all(map(store.checked, keys))
        made: set[str] = set()
        for event, key, _ in self.journal_lines():
            assert event != "began" or key not in made - made_again, f"{key} was done again"
            if event == "made":
                made.add(key)
        began = self.lines("began")
        assert len(began) <= len(set(undisturbed.lines("began"))) + lost + 2 * len(made_again)
        assert not list((self.root / "leases").glob("*.guard"))


def undisturbed_trial(folder: Path) -> Trial:
    """Return a trial that nothing has disturbed, published: what others are held against."""
    trial = Trial(folder)
    trial.run("--executor", "inline")
    trial.publish()
    return trial


HEARTBEAT = re.compile(
    r"^\S+ \S+ - distributed\.worker - ERROR - Failed to communicate with scheduler during heartbeat\.\n"
    r"(?:(?:Traceback .*|  .*|\S*(?:Error|Closed)\b.*|The above exception .*|During handling .*|)\n)*",
    re.MULTILINE,
)


def finished(process: subprocess.Popen, code: int = 0, *, seconds: float = 120.0) -> str:
    """Wait for a command to end, assert its exit code and that it printed no traceback, and return its stderr."""
    stderr = process.communicate(timeout=seconds)[1]
    assert process.returncode == code, stderr
    # What a worker of Dask logs whose heartbeat meets a scheduler that is closing at the end is its own.
    assert "Traceback" not in HEARTBEAT.sub("", stderr), stderr
    return stderr


def kill_leftovers() -> None:
    """Kill the commands that are still running, as after a failed test."""
    while _started:
        process = _started.pop()
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        process.stderr.close()


def wait_for(condition, process: subprocess.Popen | None = None, seconds: float = 60.0):
    """Wait until the condition returns something true or the process has ended; return the last result."""
    deadline = time.monotonic() + seconds
    while not (result := condition()) and (process is None or process.poll() is None):
        assert time.monotonic() < deadline, f"still not true after {seconds:g} s"
        time.sleep(0.005)
    return result


def repeat_fault(folder: Path, undisturbed: Trial, fault, *, tries: int, lost: int, workers: int = 1) -> None:
    """Strike commands with a fault `tries` times, resuming after each; let them finish, and check the result.

    fault: strikes a process; returns False if the process completed the run first. lost: jobs that a strike may cost.
    """
    struck = rounds = 0
    while struck < tries:
        trial, before = Trial(folder / str(rounds), seconds=0.2), struck
        while struck < tries and fault(trial, trial.start(workers=workers)):
            struck += 1
        trial.run(seconds=0.0)
        trial.check(undisturbed, lost=lost * (struck - before))
        rounds += 1


def wait_until_working(trial: Trial, process: subprocess.Popen, seconds: float) -> bool:
    """Wait until a worker of the process has started a job, and `seconds` more; return whether the command still runs."""
    wait_for(lambda: any(_group(pid) == process.pid for pid in trial.workers()), process)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=seconds)
    return process.poll() is None


def _group(pid: int) -> int:
    with contextlib.suppress(ProcessLookupError):
        return os.getpgid(pid)  # every command is the leader of its own process group
    return 0


def wait_until_task_runs(trial: Trial, process: subprocess.Popen, seconds: float) -> bool:
    """Wait until a worker has started a task of the process, and `seconds` more; return whether the process still runs.

    Counts only tasks that start after the call: workers of a cluster may still be running one of an earlier command.
    """
    before = tasks(trial)
    wait_for(lambda: tasks(trial) - before, process)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=seconds)
    return process.poll() is None


def tasks(trial: Trial) -> set[str]:
    """Return the leases of running tasks."""
    return {path.name for path in (trial.root / "leases").glob(f"{TASK_LEASE}*.lease")}


def kill_workers(trial: Trial, process: subprocess.Popen, chance: random.Random, tries: int, *, seconds: float) -> None:
    """Kill `tries` workers of a command, each at most `seconds` after it has started a job."""
    killed: set[int] = set()
    while len(killed) < tries:
        fresh = wait_for(lambda: [pid for pid in trial.workers() if pid not in killed], process)
        time.sleep(chance.uniform(0.0, seconds))
        os.kill(fresh[0], signal.SIGKILL)
        killed.add(fresh[0])
