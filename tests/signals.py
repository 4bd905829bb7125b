"""Interrupting a running command with SIGTERM or Ctrl-C, once and twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time

from trial import Trial, finished

from ltbench.errors import INTERRUPTED


def send(process: subprocess.Popen, chance: random.Random) -> None:
    """Send SIGTERM or SIGINT to the command, or SIGINT to its process group, as a terminal does."""
    how = chance.randrange(3)
    if how == 2:
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.send_signal((signal.SIGINT, signal.SIGTERM)[how])


def stop_once(trial: Trial, process: subprocess.Popen, chance: random.Random) -> bool:
    """Signal a process and check that it finishes the jobs in flight; return False if it completed the run instead."""
    send(process, chance)
    if process.wait(timeout=60) == 0:
        return False
    assert "run the same command to continue" in finished(process, INTERRUPTED)
    assert sorted(trial.lines("began")) == sorted(trial.lines("made"))
    return True


def stop_twice(trial: Trial, process: subprocess.Popen, chance: random.Random) -> bool:
    """Signal a process twice and check that it stops; return False if it completed the run instead."""
    send(process, chance)
    time.sleep(chance.uniform(0.0, 0.1))
    if process.poll() is None:
        send(process, chance)
    if process.wait(timeout=60) == 0:
        return False
    finished(process, INTERRUPTED)
    return True
