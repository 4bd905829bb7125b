"""A folder and an environment for the commands of one page."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import msgspec
from pages import ROOT
from support import import_path_env

HERE = Path(__file__).parent
SHOWN = 30
"""Lines of what a command says that are shown where it fails."""


class Rule(msgspec.Struct, frozen=True):
    """What is run instead of what a page says, and why that is as good."""

    said: str
    run: str
    why: str


RULES = (
    Rule(r"python3 -m venv \S+ && \. \S+/bin/activate", "true", "the environment of the tests is one"),
    Rule(
        r"\bltbench run\b",
        "ltbench run --executor inline --set steps=4 --imbalance-factors 100 --seeds 0 --name quick",
        "four steps of every training in this process: options of the page come later and win",
    ),
    Rule(r"--set epochs=5\b", "", "see above"),
    Rule(
        r"\bltbench search\b",
        "ltbench search --executor inline --set steps=4",
        "four steps of every training in this process, as above",
    ),
    Rule(r"--budget 10m\b", "--budget 1s", "what is asked is that it stops"),
    Rule(
        r"--budget 30s\b",
        "--executor inline --suite few.toml --no-fine-tune",
        "a race of four rows ends by itself; one of 500 may have chosen nothing by then on a busy machine",
    ),
    Rule(r"--rerun 3\b", "--rerun 1 --executor inline", "one cell is trained again as three are"),
    Rule(
        r"\bltbench publish quick\b", "ltbench publish quick --replace", "every run above is another one, of one name"
    ),
    Rule(
        r"--into leaderboards/quick\b",
        "--into leaderboards/four_steps",
        "rows of four steps are of another recipe than the page",
    ),
    Rule(r" --open\b", "", "there is nobody to look at it"),
    Rule(
        r"\b3f85e2\b",
        '$(grep -rohm1 --include=records.jsonl \'"id":"......\' leaderboards | tail -c7)',
        "a cell of a run of four steps has another identity",
    ),
)
"""Everything that is substituted, in every command of every page. `pip install` is `installing.py`."""

BEFORE = {
    "docs/own-images.md": """ltbench show recommend | sed -e 's/^steps = .*/steps = 4/' -e 's/^seeds = .*/seeds = [0, 1]/' \\
  -e '/^techniques = /,/^]/c techniques = ["cb_sampler", "logit_adjust_posthoc"]' > few.toml""",
    "docs/asking.md": "ltbench run --plugins cb_sampler,mixup,label_smooth,tta",
    "docs/running.md": "ltbench run --plugins cb_sampler",
    "docs/data-format.md": "ltbench run --plugins cb_sampler,mixup",
}
"""What the reader of a page has done before."""


def substituted(command: str) -> str:
    """Return what is run for a command of a page."""
    for rule in RULES:
        command = re.sub(rule.said, lambda _, rule=rule: rule.run, command)
    return command


class Shell:
    """Runs commands one after another; variables that one exports are there in the next."""

    def __init__(self, folder: Path, socket: Path) -> None:
        self.folder = folder / "page"
        self._kept = folder / "environment.sh"
        commands, installed = folder / "bin", folder / "installed"
        for path in (self.folder, commands, installed):
            path.mkdir(parents=True)
        python = shlex.quote(sys.executable)
        warm = f"{python} -S {shlex.quote(str(HERE / 'warm.py'))} {shlex.quote(str(socket))}"
        pip = f"{python} {shlex.quote(str(HERE / 'installing.py'))} {shlex.quote(str(ROOT))}"
        for name, line in {"ltbench": f"{warm} ltbench", "pytest": f"{warm} pytest", "pip": pip}.items():
            (commands / name).write_text(f'#!/bin/sh\nexec {line} "$@"\n')
            (commands / name).chmod(0o755)
        self._environment = {
            "PATH": os.pathsep.join([str(commands), str(Path(sys.executable).parent), "/usr/bin", "/bin"]),
            **import_path_env(HERE.parent),
            "PAGE_PATH": str(installed),
            "HOME": str(folder / "home"),
            "LTBENCH_STORE": str(folder / "store"),
            "LTBENCH_DATA": str(folder / "data"),
            "LANG": "C.UTF-8",
            "COLUMNS": "120",
            "OMP_NUM_THREADS": "1",
        }

    def run(self, command: str) -> str:
        """Run a command as bash does with -euo pipefail; return what it says. Raises `AssertionError` where it fails."""
        again = f". {shlex.quote(str(self._kept))}\n" if self._kept.exists() else ""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", f"{again}{substituted(command)}\nexport -p > {shlex.quote(str(self._kept))}\n"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=self._environment,
            cwd=self.folder, check=False,
        )  # fmt: skip
        said = "\n".join(done.stdout.splitlines()[-SHOWN:])
        assert done.returncode == 0, f"exit code {done.returncode}\n$ {substituted(command)}\n{said}"
        return done.stdout

    def session(self, text: str) -> None:
        """Run the commands of a session, lines that begin with `$`, and compare what they say with what is shown.

        Numbers may be others, so may the width of columns; `...` stands for any lines.
        """
        for command, shown in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", text, re.MULTILINE):
            said = self.run(command)
            assert _fits(_plain(said), _plain(shown)), f"$ {command}\n--- shown\n{shown}--- said\n{said}"


def _plain(text: str) -> list[str]:
    lines = [" ".join(re.sub(r"\d[\d.,]*", "0", line).split()) for line in text.splitlines()]
    return [re.sub(r"-{2,}", "--", line) for line in lines if line]


def _fits(said: list[str], shown: list[str]) -> bool:
    if not shown:
        return not said
    if shown[0] == "...":
        return any(_fits(said[skipped:], shown[1:]) for skipped in range(len(said) + 1))
    return bool(said) and said[0] == shown[0] and _fits(said[1:], shown[1:])
