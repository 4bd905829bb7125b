"""Attacks on a store by what is in it, of another format or of somebody else, and by a second user who writes to it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from faults.tally import Tally, attacked, finished, started, started_words
from support import suite_source

_RECIPE = {"steps": 2, "batch_size": 16, "lr": 0.05, "precision": "fp32"}
_COMMAND = ("run", "--suite", "tiny.toml", "--store", "store", "--leaderboards", "pages")
_GROUP, _USERS = 60_000, (54_321, 54_322)
_EXECUTORS = ("inline", "local", "dask[workers=1]")


def _suite(home: Path, *seeds: int) -> None:
    home.mkdir(parents=True, exist_ok=True)
    suite = suite_source("tiny", _RECIPE, techniques=["mixup"], seeds=list(seeds), models=["convnet[width=4]"])
    (home / "tiny.toml").write_text(suite)


def _numbers(page: Path) -> dict[str, object]:
    lines = (page / "local" / "tiny" / "records.jsonl").read_text().splitlines()
    return {record["id"]: record["metrics"] for record in map(json.loads, lines)}


# --- what is in it ---------------------------------------------------------------------------------------------------


def _each(pattern: str, change: Callable[[Path], object]) -> Callable[[Path], None]:
    """Return what changes each file of a store with such a name."""

    def harm(store: Path) -> None:
        found = sorted(store.glob(pattern))
        assert found
        for path in found:
            change(path)

    return harm


def _edit(**changes: object) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


def _without(key: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        content = json.loads(path.read_text())
        del content[key]
        path.write_text(json.dumps(content))

    return change


def _as_file(store: Path, name: str) -> None:
    shutil.rmtree(store / name)
    (store / name).write_text("of somebody else")


def _as_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/hostname")


HARMS: dict[str, tuple[Callable[[Path], object], int, str]] = {
    "a store of the future": (_each("store.json", _edit(format=2)), 2, "upgrade ltbench"),
    "a store of no format": (_each("store.json", lambda path: path.write_text("{}")), 2, "does not state its format"),
    "a store of a strange format": (_each("store.json", _edit(format="x")), 2, "does not state its format"),
    "records of an older format": (_each("records/*/*.json", _without("fits")), 0, ""),
    "records of a future format": (_each("records/*/*.json", _edit(future=1)), 0, ""),
    "records that are lists": (_each("records/*/*.json", lambda path: path.write_text("[]")), 0, ""),
    "records that are links": (_each("records/*/*.json", _as_link), 0, ""),
    "artefacts without digests": (_each("jobs/*/*/digest.json", Path.unlink), 0, ""),
    "digests of an older format": (_each("jobs/*/*/digest.json", lambda path: path.write_text('{"md5": "0"}')), 0, ""),
    "metadata of an older format": (_each("jobs/*/*/meta.json", _without("spec")), 0, ""),
    "metadata that is no text": (_each("jobs/*/*/meta.json", lambda path: path.write_bytes(b"\xff\x00")), 0, ""),
    "weights as pickles": (_each("jobs/*/*/*.safetensors", lambda path: path.write_bytes(b"\x80\x04cos\nsystem\n.")), 0, ""),
    "files of somebody else": (lambda store: (store / "jobs" / "README").write_text("mine"), 0, ""),
    "folders of somebody else": (lambda store: (store / "jobs" / "zz" / "not a key").mkdir(parents=True), 0, ""),
    "a file in the place of the artefacts": (lambda store: _as_file(store, "jobs"), 2, "a part of its path is a file"),
    "a file in the place of the records": (lambda store: _as_file(store, "records"), 2, "a part of its path is a file"),
}  # fmt: skip
"""How the content of a store is changed, the exit code of a run that meets it, and what it says."""


def foreign_artefacts(root: Path, rounds: int, writers: int) -> Tally:
    """Change a store, forget its records where they are not the harm, and run again: the same numbers, or a message.

    Each round has every change on one executor, and three rounds have it on all. writers: not used.
    """
    whole = root / "foreign" / "undisturbed"
    _suite(whole, 0)
    assert finished(started(*_COMMAND, "--executor", "inline", cwd=whole))[0] == 0
    numbers, lost, tried = _numbers(whole / "pages"), [], 0
    for number in range(rounds):
        for place, (name, (harm, code, says)) in enumerate(HARMS.items(), start=number):
            executor = _EXECUTORS[place % len(_EXECUTORS)]
            home = root / "foreign" / f"{number}-{name.replace(' ', '-')}"
            shutil.copytree(whole, home)
            shutil.rmtree(home / "pages")
            harm(home / "store")
            if "record" not in name:  # otherwise no artefact is read
                shutil.rmtree(home / "store" / "records")
            found, _, error = finished(started(*_COMMAND, "--executor", executor, cwd=home))
            tried += 1
            same = code != 0 or (found == 0 and _numbers(home / "pages") == numbers)
            if found != code or says not in error or "Traceback" in error or not same:
                lost.append(f"{name}, {executor}: exit code {found}, same numbers: {same} {error[-400:]}")
    return Tally("stores with older and foreign content", tried, lost)


# --- who writes to it ------------------------------------------------------------------------------------------------


def _as_user(user: int, umask: int, home: Path, store: Path) -> subprocess.Popen[str]:
    """Start a run as another user of the shared group, who may read everything, as the libraries may be in root's home."""
    rights = ("--clear-groups", "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
    words = [
        "setpriv",
        f"--reuid={user}",
        f"--regid={_GROUP}",
        *rights,
        *started_words(*_COMMAND, "--store", str(store), "--workers", "1"),
    ]
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ} | attacked()
    own = {"HOME": str(home), "LTBENCH_DATA": str(home / "data"), "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    return subprocess.Popen(words, cwd=home, env=kept | own, umask=umask, text=True, errors="replace",
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)  # fmt: skip


def _home_of(user: int, home: Path, *seeds: int) -> Path:
    _suite(home, *seeds)
    os.chown(home, user, _GROUP)
    return home


def two_users(root: Path, rounds: int, writers: int) -> Tally:
    """Run as two users at once in one store: both have the numbers of one, or are told which mode keeps one out."""
    name = "two users of one store"
    if os.geteuid() or not shutil.which("setpriv"):
        return Tally(name, 0, [], "only root can become other users, with setpriv")
    # Folders of tests belong to root alone.
    base = Path(subprocess.check_output(["mktemp", "-d", "/tmp/two-users-XXXXXX"], text=True).strip())
    base.chmod(0o755)
    lost = []
    try:
        for number in range(rounds):
            shared = base / f"{number}" / "shared"
            shared.mkdir(parents=True)
            os.chown(shared, 0, _GROUP)
            shared.chmod(0o2775)
            homes = [_home_of(user, base / f"{number}" / str(user), 0, 1) for user in _USERS]
            running = [_as_user(user, 0o002, home, shared / "store") for user, home in zip(_USERS, homes, strict=True)]
            both = [finished(process) for process in running]
            numbers = [_numbers(home / "pages") if not one[0] else {} for one, home in zip(both, homes, strict=True)]
            if any(code for code, _, _ in both) or numbers[0] != numbers[1] or len(numbers[0]) != 4:
                lost.append(f"at once: exit codes {[one[0] for one in both]} {both[0][2][-300:]} {both[1][2][-300:]}")
            # Whose files nobody else may write.
            owner = _home_of(_USERS[0], base / f"{number}" / "owner", 0)
            guest = _home_of(_USERS[1], base / f"{number}" / "guest", 2)
            closed = shared / "closed"
            first = finished(_as_user(_USERS[0], 0o022, owner, closed))
            second = finished(_as_user(_USERS[1], 0o022, guest, closed))
            if first[0] != 0 or second[0] != 2 or "Traceback" in second[2] or "writable for this user" not in second[2]:
                lost.append(f"closed: exit codes {first[0]}, {second[0]} {first[2][-200:]} {second[2][-300:]}")
    finally:
        shutil.rmtree(base)
    return Tally(name, 2 * rounds, lost)
