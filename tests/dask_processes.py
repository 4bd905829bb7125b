"""A Dask scheduler and workers as processes of their own, on this machine and nowhere else, ended by pid."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from fakes import wait_for
from trial import Trial


class Processes:
    """A scheduler with workers. env: more of the workers' environment; lead: places that they import from first."""

    def __init__(
        self, folder: Path, *, workers: int = 2, env: dict[str, str] | None = None, lead: tuple[str, ...] = ()
    ) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        note = folder / "scheduler.json"
        note.unlink(missing_ok=True)  # of a cluster that was here before
        self.scheduler = self._start("dask_scheduler", "--port", "0", "--scheduler-file", str(note))
        wait_for(lambda: note.exists() and note.stat().st_size, seconds=60)
        self.address = json.loads(note.read_text())["address"]
        self.workers = self._start(
            "dask_worker", self.address, "--nworkers", str(workers), "--nthreads", "1", "--memory-limit", "0",
            "--local-directory", str(folder / "scratch"), lead=lead, env=env,
        )  # fmt: skip

    def _start(
        self, module: str, *args: str, lead: tuple[str, ...] = (), env: dict[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        with (self.folder / f"{module}.log").open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.{module}", *args, "--host", "127.0.0.1", "--no-dashboard"],
                env=os.environ | {"PYTHONPATH": os.pathsep.join([*lead, *(p for p in sys.path if p)])} | (env or {}),
                cwd=self.folder,  # Python would import from where it is before `lead`
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def close(self) -> None:
        for process in (self.workers, self.scheduler):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def cluster_of(trial: Trial, folder: str = "cluster", **options: object) -> Processes:
    """Start a scheduler and two workers for a trial; they write to its journal. options: how jobs behave there."""
    env = {"PRETEND": json.dumps(trial.options | options), "PRETEND_JOURNAL": str(trial.journal)}
    return Processes(trial.folder / folder, env=env)


@contextlib.contextmanager
def running_on(kind: str, trial: Trial) -> Iterator[tuple[str, ...]]:
    """Give the options that have a command run on `local` workers, or on a Dask cluster that stays meanwhile."""
    if kind == "local":
        yield ()
        return
    with cluster_of(trial) as cluster:
        yield ("--executor", f"dask[scheduler={cluster.address}]")
