"""What attacks return, and how they run commands."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from support import import_path_env

from ltbench.leaderboard.publish import load, render


class Tally(NamedTuple):
    """A row of the table of attacks."""

    attack: str
    tried: int
    lost: list[str]
    """What went wrong, one entry for each attempt that did not survive."""
    not_run: str = ""
    """Why it, or a part of it, could not be tried here."""

    @property
    def survived(self) -> int:
        """Attempts that changed nothing that they should not."""
        return self.tried - len(self.lost)

    def __str__(self) -> str:
        numbers = f"{self.tried} tried, {self.survived} survived, {len(self.lost)} lost" if self.tried else "*not run*"
        reason = f"; *not run*: {self.not_run}" if self.not_run else ""
        return "\n    ".join([f"{self.attack}: {numbers}{reason}", *self.lost])


def attacked() -> dict[str, str]:
    """Return the environment in which processes import the ltbench that is attacked: that of $ATTACKED, or this one."""
    checkout = os.environ.get("ATTACKED")
    return import_path_env(*((Path(checkout), Path(checkout) / "plugins") if checkout else ()))


def started_words(*words: str) -> list[str]:
    """Return how a process is started that runs a command."""
    return [sys.executable, "-m", "ltbench", *words]


def started(*words: str, cwd: Path, **changes: str) -> subprocess.Popen[str]:
    """Start a command of its own process, as a second user would. changes: of the environment."""
    environment = (
        os.environ | {"OMP_NUM_THREADS": "1", "NO_COLOR": "1", "PYTHONWARNINGS": "ignore"} | attacked() | changes
    )
    return subprocess.Popen(started_words(*words), cwd=cwd, env=environment, text=True, errors="replace",
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)  # fmt: skip


def finished(process: subprocess.Popen[str], seconds: float = 300) -> tuple[int, str, str]:
    """Return exit code, stdout and stderr of a command; it is killed if it takes too long, which is the code -9."""
    try:
        out, error = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        out, error = process.communicate()
    return process.returncode, out, error


def page_fits(folder: Path) -> bool:
    """Whether all generated files are those of the records."""
    return all(path.read_text() == text for path, text in render(load(folder)).items())
