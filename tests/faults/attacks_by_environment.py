"""Commands in environments that lack something: a home, an output, an encoding, a folder, a short name."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import failing_posthocs
from faults.tally import Tally, attacked
from support import suite_source

LONG = "n" * 300
_NOBODY = "unshare --user --map-user=54321 --map-group=54321 env -u HOME"
"""Runs a command as a user without home and without an entry in the list of users."""

_WITHOUT_SHM = "mkdir -p ro; unshare --mount sh -c 'mount --bind ro /dev/shm && mount -o remount,bind,ro /dev/shm &&"
_WITH_FILE = "$L plan --suite quick --plugin-file p.py"


class Line(NamedTuple):
    """A line of a shell. $L is ltbench, $BOARD a leaderboard, $PLUGIN a plugin file, and $SUITE a small suite."""

    text: str
    code: int
    says: str = ""
    """What stderr has."""


LINES = {
    "no home": Line(f"{_NOBODY} $L plan --suite quick", 2, "this user has no home directory"),
    "no home, told a store": Line(f"{_NOBODY} LTBENCH_STORE=s LTBENCH_DATA=d $L plan --suite quick >plan", 0),
    "no home, doctor": Line(f"{_NOBODY} $L doctor", 2, "set $LTBENCH_DATA to a folder"),
    "closed stdout": Line("$L plugins >&-", 0),
    "closed stdin, stdout and stderr": Line("$L plugins <&- >&- 2>&-", 0),
    "closed stderr": Line("$L plan --suite none 2>&-", 2),
    "a report while stdout is closed": Line("$L leaderboard $BOARD >&-", 0),
    "full stdout": Line("$L plugins >/dev/full", 2, "No space left on device"),
    "full stdout of JSON": Line("$L plugins --json >/dev/full", 2, "No space left on device"),
    "full stdout and stderr": Line("$L plugins >/dev/full 2>/dev/full", 2),
    "full stdout of a table": Line("$L export $BOARD --format csv >/dev/full", 2, "No space left on device"),
    "a reader that leaves": Line("set -o pipefail; $L export $BOARD --format csv | head -c 10 >head", 0),
    "a reader of a table that leaves": Line("set -o pipefail; $L list | head -c 10 >head", 0),
    "a reader of help that leaves": Line("set -o pipefail; $L run --help | head -c 10 >head", 0),
    "ascii": Line("PYTHONIOENCODING=ascii $L show mixup >shown", 0),
    "utf-16": Line("PYTHONIOENCODING=utf-16 $L show mixup >shown", 0),
    "ebcdic": Line("PYTHONIOENCODING=cp037 $L show mixup >shown", 0),
    "no such locale": Line("LC_ALL=xx_XX.none PYTHONUTF8=0 $L show mixup >shown", 0),
    "a long suite": Line(f"$L plan --suite {LONG}", 2, "unknown suite"),
    "a long technique": Line(f"$L plan --suite quick --plugins {LONG}", 4, "unknown technique"),
    "a long command": Line(f"$L {LONG}", 2, "unknown command"),
    "a long new name": Line(f"$L new loss {LONG}", 2, "at most 60 are allowed"),
    "a long store": Line(f"LTBENCH_STORE=/tmp/{LONG} $L status", 2, "File name too long"),
    "a store that is a link to nothing": Line(
        "ln -sf nowhere s; $L run --suite $SUITE --store s --executor inline", 2, "a link to nothing"
    ),
    "a long output": Line(f"$L export $BOARD --output {LONG}.csv", 2, "File name too long"),
    "a long board": Line(f"$L leaderboard {LONG}", 2, "File name too long"),
    "a name that is no text": Line("$L plan --suite $'a\\xff.toml'", 2, "cannot be read"),
    "a folder that is gone": Line("mkdir gone; cd gone; rmdir ../gone; $L run --suite quick", 2, "no longer exists"),
    "a folder that nobody may write": Line(
        "mkdir ro; unshare --mount sh -c 'mount -t tmpfs -o ro none ro && cd ro && $L run --suite quick'",
        2,
        "the leaderboard cannot be written",
    ),
    "a plugin file that everybody may write": Line(f"cp $PLUGIN p.py; chmod 666 p.py; {_WITH_FILE}", 4, "chmod o-w"),
    "a folder of plugin files that everybody may write": Line(
        f"mkdir -pm 777 all; cp $PLUGIN all/p.py; cd all; {_WITH_FILE}", 4, "chmod o-w"
    ),
    "a plugin file of another user": Line(
        f"cp $PLUGIN p.py; chown 54321:54321 p.py; {_WITH_FILE}", 4, "belongs to another user (uid 54321)"
    ),
    "a plugin file of a group": Line(f"cp $PLUGIN p.py; chmod 664 p.py; {_WITH_FILE} >plan", 0),
    "a plugin that leaves something endless to the end": Line(
        f"(cat $PLUGIN; echo 'atexit.register(forever)') >p.py; {_WITH_FILE} >plan", 0, "does not end"
    ),
    "a plugin that leaves a thread": Line(
        f"(cat $PLUGIN; echo 'thread_and(lambda: None)') >p.py; {_WITH_FILE} >plan", 0, "left a thread"
    ),
    "no /dev/shm, inline": Line(
        f"{_WITHOUT_SHM} $L run --suite $SUITE --executor inline --store s --leaderboards p'", 0
    ),
    "no /dev/shm, local": Line(f"{_WITHOUT_SHM} $L run --suite $SUITE --store s'", 2, "share locks through /dev/shm"),
    "no /dev/shm, dask": Line(
        f"{_WITHOUT_SHM} $L run --suite $SUITE --store s --executor dask[workers=1]'", 2, "share locks through /dev/shm"
    ),
    "/dev/shm that nobody may write": Line(
        "unshare --mount sh -c 'mount -t tmpfs -o ro none /dev/shm && $L plan --suite quick >plan'", 0
    ),
}


def environments(root: Path, rounds: int, writers: int) -> Tally:
    """Run a line each; it ends with its exit code and a message, never with a traceback. writers: not used."""
    lost, tried, not_run = [], 0, []
    home = root / "environments"
    home.mkdir(parents=True)
    suite = home / "tiny.toml"
    recipe = {"steps": 2, "batch_size": 16, "lr": 0.05, "precision": "fp32"}
    suite.write_text(suite_source("tiny", recipe, techniques=["mixup"], seeds=[0], models=["convnet[width=4]"]))
    asked = ["unshare", "--user", "--mount", "true"]
    can_unshare = shutil.which("unshare") and not subprocess.run(asked, capture_output=True, check=False).returncode
    boards = Path(__file__).parents[2] / "leaderboards"
    command = shlex.join([sys.executable, "-m", "ltbench"])
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COLUMNS"))}
    environment |= attacked() | {
        "L": command,
        "BOARD": str(boards / "quick"),
        "PLUGIN": failing_posthocs.__file__,
        "SUITE": str(suite),
        "PYTHONWARNINGS": "ignore",
    }
    for _ in range(rounds):
        for name, line in LINES.items():
            if ("unshare" in line.text and not can_unshare) or ("chown" in line.text and os.geteuid()):
                not_run.append(name)
                continue
            folder = home / name.replace("/", "-")
            folder.mkdir(exist_ok=True)
            done = subprocess.run(
                ["bash", "-c", line.text], cwd=folder, env=environment, capture_output=True, check=False
            )
            error = done.stderr.decode(errors="replace")
            tried += 1
            if done.returncode != line.code or "Traceback" in error or line.says not in error:
                lost.append(f"{name}: exit code {done.returncode}, {error[-300:]}")
    return Tally("environments that lack something", tried, lost, ", ".join(not_run))
