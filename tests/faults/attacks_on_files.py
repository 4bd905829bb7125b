"""Attacks on files while commands use them: killed commands, a store that is deleted, a full disk, lines of gigabytes."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from faults.tally import Tally, finished, started, started_words
from support import suite_source

LEADERBOARDS = Path(__file__).parents[2] / "leaderboards"
_PAGE = "report-park-fast"
_HUGE = 2 << 30
_MOST_MEMORY_KB = 1_000_000
_PAGE_OF_MEMORY = 4096
COMMANDS = {
    "leaderboard --update": ("leaderboard", "--update"),
    "report": ("report", _PAGE, "--output", "report.html"),
    "new": ("new", "loss", "sharp"),
    "merge": ("merge", "more.jsonl", "--into", "leaderboards/other"),
    "export": ("export", f"leaderboards/{_PAGE}", "--output", "table.csv"),
    "verify": ("verify", f"leaderboards/{_PAGE}"),
}
"""Commands that write, or read long, with what they are told."""


def _place(home: Path) -> Path:
    """Make a folder in which all of them work, and whose pages are older than they have to be."""
    shutil.copytree(LEADERBOARDS / _PAGE, home / "leaderboards" / _PAGE)
    page = home / "leaderboards" / _PAGE
    (page / "README.md").write_text("old\n")
    (page / "table.csv").unlink()
    shutil.copyfile(page / "records.jsonl", home / "more.jsonl")
    return home


def _files(home: Path) -> dict[str, bytes]:
    """Return the contents of files by path; without hidden ones, such as locks, and what a killed command was writing."""
    paths = {str(path.relative_to(home)): path for path in sorted(home.rglob("*")) if path.is_file()}
    return {name: path.read_bytes() for name, path in paths.items() if "/." not in f"/{name}"}


def interrupted_commands(root: Path, rounds: int, writers: int) -> Tally:
    """Kill or interrupt each command at any moment; the same command then makes what it makes undisturbed. writers: not used."""
    chance, lost, tried = random.Random(1), [], 0
    for name, words in COMMANDS.items():
        folder = root / f"interrupted-{name.replace(' ', '')}"
        undisturbed = _place(folder / "undisturbed")
        begin = time.monotonic()
        code = finished(started(*words, cwd=undisturbed))[0]
        whole = _files(undisturbed)
        taken = time.monotonic() - begin
        for number in range(2 * rounds):
            home = _place(folder / str(number))
            process = started(*words, cwd=home)
            time.sleep(chance.uniform(0.3, 1.0) * taken)
            with_kill = bool(number % 2)
            os.killpg(process.pid, signal.SIGKILL if with_kill else signal.SIGINT)
            stopped, _, error = finished(process)
            again, _, said = finished(started(*words, cwd=home))
            if again and name == "new":
                shutil.rmtree(home / "ltbench-sharp", ignore_errors=True)  # it says so, as the folder is there
                again, _, said = finished(started(*words, cwd=home))
            tried += 1
            found = _files(home)
            differs = sorted(path for path in whole.keys() | found.keys() if whole.get(path) != found.get(path))
            if differs or again != code or "Traceback" in error + said or (not with_kill and stopped not in (code, 6)):
                lost.append(f"{name}: {differs[:3]} differ, exit codes {stopped}, then {again} {(error + said)[-300:]}")
    return Tally("commands that are killed or interrupted", tried, lost)


def deleted_stores(root: Path, rounds: int, writers: int) -> Tally:
    """Delete the store of a run at any moment; the run ends with a message, and another makes the same numbers. writers: not used."""
    chance, lost = random.Random(2), []
    recipe = {"steps": 4, "batch_size": 16, "lr": 0.05, "precision": "fp32"}
    suite = suite_source("tiny", recipe, techniques=["mixup", "focal"], seeds=[0, 1], models=["convnet[width=4]"])
    command = ("run", "--suite", "tiny.toml", "--workers", "1", "--store", "store", "--leaderboards", "pages")

    def place(name: str) -> Path:
        home = root / "deleted" / name
        home.mkdir(parents=True)
        (home / "tiny.toml").write_text(suite)
        return home

    whole = place("undisturbed")
    assert finished(started(*command, cwd=whole))[0] == 0
    numbers = _numbers(whole)
    for number, kind in itertools.product(range(rounds), ("local", "dask")):
        home = place(f"{number}-{kind}")
        process = started(*command, "--executor", kind, cwd=home)
        while process.poll() is None and not list((home / "store").glob("jobs/*/*/digest.json")):
            time.sleep(0.01)
        time.sleep(chance.uniform(0.0, 1.0))
        shutil.rmtree(home / "store", ignore_errors=True)
        code, _, error = finished(process)
        again, _, said = finished(started(*command, cwd=home))
        if code not in (0, 1, 2) or again or "Traceback" in error + said or _numbers(home) != numbers:
            lost.append(
                f"{kind}: exit codes {code}, then {again}, same numbers: {_numbers(home) == numbers} {(error + said)[-400:]}"
            )
    return Tally("stores that are deleted during a run", 2 * rounds, lost)


def _numbers(home: Path) -> dict[str, object]:
    lines = (home / "pages" / "local" / "tiny" / "records.jsonl").read_text().splitlines()
    return {record["id"]: record["metrics"] for record in map(json.loads, lines)}


def full_disks(root: Path, rounds: int, writers: int) -> Tally:
    """Write pages to a disk without room for all of them; nothing half-written stays. writers: not used."""
    name, lost, tried = "pages on a full disk", [], 0
    small = root / "small"
    small.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(small)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        return Tally(name, 0, [], "a small file system cannot be mounted here")
    chance = random.Random(3)
    try:
        for command in ("leaderboard --update", "merge", "export"):
            undisturbed = _place(root / "enough" / command.replace(" ", ""))
            before = _files(undisturbed)
            assert finished(started(*COMMANDS[command], cwd=undisturbed))[0] == 0
            whole = _files(undisturbed)
            needed = sum(len(content) for path, content in whole.items() if content != before.get(path))
            for _ in range(rounds):
                home = _place(small / str(tried))
                with contextlib.suppress(OSError), (home / "filler").open("wb") as filler:
                    while filler.write(bytes(_PAGE_OF_MEMORY)):
                        filler.flush()
                free = chance.randrange(needed) // _PAGE_OF_MEMORY
                os.truncate(home / "filler", (home / "filler").stat().st_size - free * _PAGE_OF_MEMORY)
                code, _, error = finished(started(*COMMANDS[command], cwd=home))
                (home / "filler").unlink()
                tried += 1
                after = _files(home)
                broken = [path for path, content in after.items() if content not in (before.get(path), whole.get(path))]
                if code != 2 or "Traceback" in error or "No space left on device" not in error or broken:
                    lost.append(f"{command}, {free} pages left: exit code {code}, broken {broken} {error[-300:]}")
                shutil.rmtree(home)
    finally:
        subprocess.run(["umount", small], check=True)
    return Tally(name, tried, lost)


def huge_lines(root: Path, rounds: int, writers: int) -> Tally:
    """Read files that have a line, or are a text, of 2 GB: refused by name and without using such memory. writers: not used."""
    lost, tried = [], 0
    home = root / "huge"
    cases: dict[str, tuple[Callable[[Path], Path], tuple[str, ...]]] = {
        "records": (lambda place: place / "more.jsonl", ("merge", "more.jsonl", "--into", f"leaderboards/{_PAGE}")),
        **{
            file: (lambda place, file=file: place / "leaderboards" / _PAGE / file, ("leaderboard", _PAGE))
            for file in ("suite.json", "verified.json", "tuning.jsonl", "search.json", "records.jsonl")
        },
    }
    for name, (path_in, words) in cases.items():
        place = _place(home / name)
        with path_in(place).open("ab") as file:
            file.truncate(_HUGE)  # which takes no space on the disk
        limit = ["bash", "-c", f'ulimit -v {_MOST_MEMORY_KB * 3}; exec "$@"', "limited"]
        process = subprocess.run(
            [*limit, *started_words(*words)], cwd=place, capture_output=True, text=True, check=False,
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        tried += 1
        if process.returncode not in (1, 2) or "bytes" not in process.stderr or "Traceback" in process.stderr:
            lost.append(f"{name}: exit code {process.returncode} {process.stderr[-300:]}")
        shutil.rmtree(place)
    return Tally("lines and files of 2 GB", tried, lost)
