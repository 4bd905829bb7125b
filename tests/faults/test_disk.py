"""A disk that is full in the middle of a write, and a store that becomes read-only."""

from __future__ import annotations

import errno
import os
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from dask_processes import executor_options
from trial import Trial, finished, wait_until_task_runs, wait_until_working

from ltbench.errors import WRONG_USAGE

TRIES = 20
Mount = Callable[[str], Path]


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """A function that mounts a small file system, or mounts it anew with other options."""
    folder = tmp_path / "small"
    folder.mkdir()

    def mounted(options: str) -> Path:
        source = [] if os.path.ismount(folder) else ["-t", "tmpfs", "tmpfs"]
        done = subprocess.run(["mount", "-o", options, *source, folder], capture_output=True, text=True, check=False)
        if done.returncode and source:
            pytest.skip(f"a small file system cannot be mounted here: {done.stderr.strip()}")
        done.check_returncode()
        return folder

    yield mounted
    if os.path.ismount(folder):
        subprocess.run(["umount", folder], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["local", "dask"])
def test_a_disk_that_is_full_in_the_middle_of_a_write_is_told_and_costs_what_was_in_flight(
    kind: str, undisturbed: Trial, tmp_path: Path, mount: Mount
) -> None:
    chance = random.Random(5)
    full = rounds = 0
    while full < TRIES:
        size, before = 100, full
        store = mount(f"size={size}k") / str(rounds)
        trial = Trial(tmp_path / f"round{rounds}", store=store, bytes=200_000)
        with executor_options(kind, trial) as where:
            while full < TRIES and (process := trial.start(*where, workers=1)).wait(timeout=120):
                said = finished(process, WRONG_USAGE)
                assert "the disk is full" in said
                assert "FAILED" not in said
                full += 1
                size += chance.randrange(40, 400)
                mount(f"remount,size={size}k")
        mount("remount,size=16m")
        trial.run()
        trial.check(undisturbed, lost=full - before)
        subprocess.run(["umount", tmp_path / "small"], check=True)
        rounds += 1


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["local", "dask"])
def test_a_store_that_becomes_read_only_is_told_and_costs_what_was_in_flight(
    kind: str, undisturbed: Trial, tmp_path: Path, mount: Mount
) -> None:
    chance = random.Random(6)
    folder = mount("size=16m")
    struck = rounds = 0
    while struck < TRIES:
        trial, before = Trial(tmp_path / str(rounds), store=folder / str(rounds), seconds=0.2), struck
        # Nothing becomes read-only that has a file open for writing, and workers write their logs all the time.
        trial.root.mkdir()
        (trial.folder / "logs").mkdir()
        (trial.root / "logs").symlink_to(trial.folder / "logs")
        with executor_options(kind, trial) as where:
            while struck < TRIES:
                process = trial.start(*where, workers=1)
                begins = wait_until_working if kind == "local" else wait_until_task_runs
                if not begins(trial, process, chance.uniform(0.0, 0.5)):
                    break
                while (
                    process.poll() is None
                    and subprocess.run(
                        ["mount", "-o", "remount,ro", folder], capture_output=True, check=False
                    ).returncode
                ):
                    pass
                code = process.wait(timeout=120)
                mount("remount,rw")
                if code == 0:
                    break
                said = finished(process, WRONG_USAGE)
                assert os.strerror(errno.EROFS) in said
                assert "FAILED" not in said
                struck += 1
        trial.run(seconds=0.0)
        trial.check(undisturbed, lost=struck - before)
        shutil.rmtree(trial.root)
        rounds += 1
