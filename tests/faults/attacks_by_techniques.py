"""Attacks on a run by techniques that raise anything, end their process, or never return."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import failing_posthocs as failing
from faults.tally import Tally, finished, started
from leaks import LEAKS, PLUGIN
from support import suite_source

_RECIPE = {"steps": 2, "batch_size": 16, "lr": 0.05, "precision": "fp32"}
_EXECUTORS = {
    "inline": (failing.RAISING | failing.QUIET, ()),
    "local": (
        failing.RAISING | failing.QUIET | failing.DEADLY,
        ("--timeout", "8s", "--retries", "0", "--workers", "2"),
    ),
    "dask[workers=2]": (
        failing.QUIET
        | {kind: failing.DEADLY[kind] for kind in ("exit_5", "files_closed", "files_closed_and_raised", "hang")},
        ("--timeout", "8s", "--retries", "0"),
    ),
}


_LEAKING = {"inline": slice(None), "local": slice(None, None, 12), "dask[workers=1]": slice(6, None, 24)}
"""The leaks that are tried, by executor; each costs a new worker, where there are workers."""


def failing_techniques(root: Path, rounds: int, writers: int) -> Tally:
    """Run all of them in one run; each costs its own cell, which names it, and nothing else. writers: not used."""
    lost, tried = [], 0
    for number in range(rounds):
        for executor, (kinds, limits) in _EXECUTORS.items():
            home = root / f"techniques-{number}" / executor
            home.mkdir(parents=True)
            combinations = [[f"bad_{kind}"] for kind in kinds]
            (home / "tiny.toml").write_text(
                suite_source("tiny", _RECIPE, combinations=combinations, seeds=[0], models=["convnet[width=4]"])
            )
            code, _, error = finished(started(
                "run", "--suite", "tiny.toml", "--plugin-file", str(Path(failing.__file__).resolve()), "--executor", executor,
                *limits, "--store", "store", "--leaderboards", "pages", cwd=home,
            ))  # fmt: skip
            records = {one["combination"].get("posthoc") or "": one for one in _records(home / "store")}
            tried += len(kinds) + 1
            found = {kind: _wrong(kind, records.get(f"bad_{kind}"), records.get("")) for kind in kinds}
            lost += [f"{executor}, {kind}: {wrong}" for kind, wrong in found.items() if wrong]
            if code != 1 or "Traceback" in error or "\x1b[2J" in error or len(error) > 60_000 or not records.get(""):
                lost.append(f"{executor}: exit code {code}, {len(error)} characters on stderr, {error[-300:]}")
    return Tally("techniques that raise anything, die or hang", tried, lost)


def _records(store: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in store.glob("records/*/*.json")]


def _wrong(kind: str, record: dict[str, Any] | None, baseline: dict[str, Any] | None) -> str:
    """Return what is wrong with the record of a posthoc that fails in that way; empty if nothing is."""
    if record is None or baseline is None:
        return "no record"
    if kind in failing.QUIET:
        return "" if record.get("metrics") == baseline["metrics"] else "other numbers than without it"
    if record["status"] != "failed":
        return "its cell did not fail"
    error = record["error"]
    died = kind in failing.DEADLY and kind not in failing.SURVIVED
    named = error["type"] == "WorkerDied" if died else f"bad_{kind}" in error["message"]
    if not named:
        return f"its cell says {error['message'][:200]}"
    return "" if len(error["message"]) <= 2_000 else f"its message has {len(error['message'])} characters"


def leaking_techniques(root: Path, rounds: int, writers: int) -> Tally:
    """Change all of the process that can be changed; each cell fails, and others have their numbers. writers: not used."""
    lost, tried = [], 0
    for number, (executor, chosen) in itertools.product(range(rounds), _LEAKING.items()):
        home = root / f"leaks-{number}" / executor
        home.mkdir(parents=True)
        (home / "leaks.py").write_text(PLUGIN)
        leaks = range(len(LEAKS))[chosen]
        combinations = [[f"leaky_posthoc[number={leak}]"] for leak in leaks]
        numbers = {}
        for name, rows in (("clean", [["vs"]]), ("leaking", [*combinations, ["vs"]])):
            (home / "tiny.toml").write_text(
                suite_source("tiny", _RECIPE, combinations=rows, seeds=[0], models=["convnet[width=4]"])
            )
            code, _, said = finished(started(
                "run", "--suite", "tiny.toml", "--plugin-file", "leaks.py", "--executor", executor,
                "--store", name, "--leaderboards", f"pages-{name}", cwd=home,
            ))  # fmt: skip
            found = {"+".join(filter(None, one["combination"].values())): one for one in _records(home / name)}
            numbers[name] = {label: one.get("metrics") for label, one in found.items() if "leaky" not in label}
            if "Traceback" in said or code != (name == "leaking"):
                lost.append(f"{executor}: exit code {code} {said[-300:]}")
        tried += len(leaks) + 1
        for leak, (row,) in zip(leaks, combinations, strict=True):
            # In a thread of a Dask worker, Python refuses some changes itself.
            if found.get(row, {}).get("status") != "failed":
                lost.append(f"{executor}, {list(LEAKS)[leak]}: its cell did not fail")
        if numbers["leaking"] != numbers["clean"] or len(numbers["clean"]) != 2:
            lost.append(f"{executor}: other cells have other numbers")
    return Tally("techniques that change their process", tried, lost)
