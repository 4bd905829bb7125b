"""A Dask scheduler and workers in separate processes on this machine."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from fakes import wait_for
from trial import Trial

import ltbench


class DaskProcesses:
    """A scheduler with workers. env: added to the workers' environment; import_first: folders before their path."""

    def __init__(
        self, folder: Path, *, workers: int = 2, env: dict[str, str] | None = None, import_first: tuple[str, ...] = ()
    ) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        scheduler_file = folder / "scheduler.json"
        scheduler_file.unlink(missing_ok=True)  # of an earlier cluster in this folder
        self.scheduler = self._start("dask_scheduler", "--port", "0", "--scheduler-file", str(scheduler_file))
        wait_for(lambda: scheduler_file.exists() and scheduler_file.stat().st_size, seconds=60)
        self.address = json.loads(scheduler_file.read_text())["address"]
        self._env = env
        self._workers: list[subprocess.Popen[bytes]] = []
        if workers:
            self.add(workers, import_first=import_first)

    def add(self, workers: int, *, import_first: tuple[str, ...] = ()) -> None:
        """Start workers."""
        process = self._start(
            "dask_worker", self.address, "--nworkers", str(workers), "--nthreads", "1", "--memory-limit", "0",
            "--local-directory", str(self.folder / "scratch"), import_first=import_first, env=self._env,
        )  # fmt: skip
        self._workers.append(process)

    def _start(
        self, module: str, *args: str, import_first: tuple[str, ...] = (), env: dict[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        path = os.pathsep.join([*import_first, *filter(None, sys.path)])
        with (self.folder / f"{module}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.{module}", *args, "--host", "127.0.0.1", "--no-dashboard"],
                env=os.environ | {"PYTHONPATH": path} | (env or {}),
                cwd=self.folder,  # `python -m` imports from the working folder before PYTHONPATH
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def close(self) -> None:
        for process in (*self._workers, self.scheduler):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def start_cluster(trial: Trial, folder: str = "cluster", *, workers: int = 2, **options: object) -> DaskProcesses:
    """Start a scheduler and workers that write to a trial's journal. options: how jobs behave, see `pretend`."""
    env = {"PRETEND": json.dumps(trial.options | options), "PRETEND_JOURNAL": str(trial.journal)}
    return DaskProcesses(trial.folder / folder, workers=workers, env=env)


def other_ltbench(folder: Path, *, file: str, old: str, new: str) -> str:
    """Write a copy of ltbench with another text in one of its files, and return what to import it from."""
    shutil.copytree(Path(ltbench.__file__).parent, folder / "ltbench", ignore=shutil.ignore_patterns("__pycache__"))
    own = folder / "ltbench" / file
    text = own.read_text()
    assert old in text
    own.write_text(text.replace(old, new))
    return str(folder)


@contextlib.contextmanager
def executor_options(kind: str, trial: Trial) -> Iterator[tuple[str, ...]]:
    """Yield the options for a command to run on local workers, or on a Dask cluster that lives as long as the block."""
    if kind == "local":
        yield ()
        return
    with start_cluster(trial) as cluster:
        yield ("--executor", f"dask[scheduler={cluster.address}]")
