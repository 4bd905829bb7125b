"""The record of a run: its command, progress or result, and how well its duration was predicted.

    <store>/runs/<id>.json        rewritten every few seconds during the run, and at its end
    <store>/leases/run-<id>.lease held during the run: an unfinished run without it is dead

The files are for users, and for improving the prediction. No run depends on them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import msgspec

from ltbench.core import atomic_files
from ltbench.core.row_labels import row_label
from ltbench.core.spec import Job, label_of
from ltbench.stages import TRAINING_STAGES
from ltbench.store import format as store_format

State = Literal["running", "done", "failed", "unfinished", "interrupted", "broken", "died"]
"""`failed`: some cells failed; `unfinished`: the budget was used up; `broken`: the run itself raised; `died`: its
process is gone, which other processes detect and no record states."""


class RunningJob(msgspec.Struct, frozen=True, kw_only=True):
    """A job that a worker was running when the record was written."""

    key: str
    kind: str
    about: str
    seconds: float
    """Seconds since it was submitted."""


class TimePrediction(msgspec.Struct, frozen=True, kw_only=True):
    """The predicted duration of a part of a run at some moment."""

    after: float
    """Share of the work done by then."""
    elapsed: float
    """Seconds since the start."""
    predicted: float | None
    """Seconds from start to end; None if unknown."""
    ratio: float | None
    """Predicted over actual seconds."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a run that was planned at once; most runs have one. `guesses`: empty if it did not finish."""

    jobs: int
    seconds: float
    guesses: tuple[TimePrediction, ...] = ()


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A run, running or ended. Counts are of cells unless stated otherwise."""

    schema: int = 1
    id: str
    command: tuple[str, ...]
    suite: str
    executor: str
    workers: int
    host: str
    pid: int
    began: str
    ended: str | None = None
    state: State = "running"
    cells: int = 0
    cached: int = 0
    done: int = 0
    failed: int = 0
    jobs: int = 0
    """Jobs to do."""
    jobs_done: int = 0
    """Number of finished jobs."""
    ran: dict[str, float] = {}
    """Jobs done by this run, by kind."""
    worked: dict[str, float] = {}
    """Seconds of work of this run, by kind."""
    found: int = 0
    """Jobs done by other processes during the run."""
    seconds: float = 0.0
    """Without planning and publishing."""
    eta: float | None = None
    in_flight: tuple[RunningJob, ...] = ()
    parts: tuple[Part, ...] = ()


def about(job: Job) -> str:
    """Return a short description of a job from its spec."""
    spec, extra = job.spec, job.extra
    if "combination" in extra:
        return row_label(filter(None, extra["combination"].values()))
    if "segments" not in spec:
        view, split = spec.get("view", ""), spec.get("split", "test")
        shown = view if isinstance(view, str) else f"{label_of(view['technique'])} {view['name']}"
        return shown if split == "test" else f"{shown} of {split.replace('_', '-')} images"
    data = spec["data"]
    parts = [label_of(data["dataset"]), f"{data['imbalance_factor']:g}", label_of(spec["model"])]
    return " ".join(filter(None, parts + [label_of(spec["segments"][-1].get(stage)) for stage in TRAINING_STAGES]))


def lease_key(run: str) -> str:
    """Return the name of the lease that a run holds while its process lives."""
    return f"run-{run}"


def write(root: Path, run: Run) -> None:
    """Write the record of a run atomically. Raises `StoreError` if it cannot be written."""
    target = root / "runs" / f"{store_format.checked_key(run.id)}.json"
    with atomic_files.os_errors_as_store_errors("the record of a run cannot be written", target):
        target.parent.mkdir(parents=True, exist_ok=True)
        content = msgspec.json.format(msgspec.json.encode(run), indent=1) + b"\n"
        # Not flushed during the run: it is replaced within seconds and need not survive a power cut.
        atomic_files.replace(target, content, flushed=run.state != "running")


def read(root: Path, last: int | None = None, also: Iterable[str] = ()) -> list[Run]:
    """Return the records of the last runs and of those in `also`, newest first, skipping unreadable ones."""
    wanted = set(also)
    runs: list[Run] = []
    for path in sorted((root / "runs").glob("*.json"), reverse=True):
        if last is not None and len(runs) >= last and path.stem not in wanted:
            continue
        with contextlib.suppress(OSError, msgspec.MsgspecError, UnicodeDecodeError):
            runs.append(msgspec.json.decode(path.read_bytes(), type=Run))
    return runs


def written(root: Path, run: str) -> float | None:
    """Return when a run's record was last written, by the file system's clock; None if there is none."""
    with contextlib.suppress(OSError):
        return (root / "runs" / f"{store_format.checked_key(run)}.json").stat().st_mtime
    return None
