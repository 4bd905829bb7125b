"""The record of a run: what was asked, how far it is or what it came to, and how well its time was predicted.

    <store>/runs/<id>.json        written anew every few seconds while it runs, and once more at its end
    <store>/leases/run-<id>.lease while it runs: a run without it that did not end is dead

The files are for people and for whoever improves the prediction. No run depends on one.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import msgspec

from ltbench.core import atomic_files
from ltbench.core.spec import Job, label_of
from ltbench.stages import TRAINING_STAGES
from ltbench.store import format as store_format

State = Literal["running", "done", "failed", "unfinished", "interrupted", "broken"]
"""`failed`: some cells did; `unfinished`: the time was over; `broken`: the run itself raised."""


class Flight(msgspec.Struct, frozen=True, kw_only=True):
    """A job that a worker has."""

    key: str
    kind: str
    about: str
    seconds: float
    """Since when, at the time of writing."""


class Guess(msgspec.Struct, frozen=True, kw_only=True):
    """What was predicted at some point of a part of a run."""

    after: float
    """Share of the work that was done by then."""
    elapsed: float
    """Seconds since the start."""
    predicted: float | None
    """Seconds from start to end; None where nothing was known."""
    ratio: float | None
    """The prediction over what it was."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a run that was planned at once; most runs have one. `guesses` are empty where it did not end well."""

    jobs: int
    seconds: float
    guesses: tuple[Guess, ...] = ()


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A run, on its way or at its end. Counts are of cells where nothing else is said."""

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
    """Jobs that had to be done, and of these so many are done:"""
    jobs_done: int = 0
    ran: dict[str, float] = {}
    """Jobs done by this run, by kind."""
    worked: dict[str, float] = {}
    """Seconds of work of this run, by kind."""
    found: int = 0
    """Jobs that another run did meanwhile."""
    seconds: float = 0.0
    """From the first job to the last, planning and publishing left out."""
    eta: float | None = None
    in_flight: tuple[Flight, ...] = ()
    parts: tuple[Part, ...] = ()


def about(job: Job) -> str:
    """Return what a job is about, as far as its own spec says."""
    spec, extra = job.spec, job.extra
    if "combination" in extra:
        picked = [text for text in extra["combination"].values() if text] or ["baseline"]
        return " + ".join(picked)
    if "segments" not in spec:
        view = spec.get("view", "")
        return view if isinstance(view, str) else f"{label_of(view['technique'])} {view['name']}"
    data = spec["data"]
    parts = [label_of(data["dataset"]), f"{data['imbalance_factor']:g}", label_of(spec["model"])]
    return " ".join(filter(None, parts + [label_of(spec["segments"][-1][stage]) for stage in TRAINING_STAGES]))


def lease_key(run: str) -> str:
    """Return what a run holds the lease on as long as it lives."""
    return f"run-{run}"


def write(root: Path, run: Run) -> None:
    """Put the record of a run in its place, whole. Raises `StoreError` where it cannot be written."""
    folder = root / "runs"
    fresh, target = folder / f".{run.id}-{uuid.uuid4().hex[:8]}", folder / f"{store_format.checked_key(run.id)}.json"
    with atomic_files.os_errors_as_store_errors("the record of a run cannot be written", target):
        folder.mkdir(parents=True, exist_ok=True)
        content = msgspec.json.format(msgspec.json.encode(run), indent=1) + b"\n"
        try:
            if run.state == "running":
                fresh.write_bytes(content)  # the next one comes in seconds, and need not survive a power cut
            else:
                atomic_files.write(fresh, content)
            fresh.replace(target)
        finally:
            atomic_files.remove(fresh)


def read(root: Path, last: int | None = None, also: Iterable[str] = ()) -> list[Run]:
    """Return the records of the last runs and of those in `also`, the newest first. Unreadable ones are left out."""
    wanted = set(also)
    runs: list[Run] = []
    for path in sorted((root / "runs").glob("*.json"), reverse=True):
        if last is not None and len(runs) >= last and path.stem not in wanted:
            continue
        with contextlib.suppress(OSError, msgspec.MsgspecError, UnicodeDecodeError):
            runs.append(msgspec.json.decode(path.read_bytes(), type=Run))
    return runs


def written(root: Path, run: str) -> float | None:
    """Return when the record of a run was written last, by the file system's clock; None where there is none."""
    with contextlib.suppress(OSError):
        return (root / "runs" / f"{store_format.checked_key(run)}.json").stat().st_mtime
    return None
