"""SIGTERM and Ctrl-C at a command that is at work, once and twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time

from trial import Trial, finished

from ltbench.errors import INTERRUPTED


def send(process: subprocess.Popen, chance: random.Random) -> None:
    """Send SIGTERM to the command, or SIGINT to it or, as a terminal does, to the whole group."""
    how = chance.randrange(3)
    if how == 2:
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.send_signal((signal.SIGINT, signal.SIGTERM)[how])


def stop_once(trial: Trial, process: subprocess.Popen, chance: random.Random) -> bool:
    """Signal a process and see that it finishes what is in flight; return whether it was not just about to end."""
    send(process, chance)
    if process.wait(timeout=60) == 0:
        return False
    assert "run it again: the same command continues from there" in finished(process, INTERRUPTED)
    assert sorted(trial.lines("began")) == sorted(trial.lines("made"))
    return True


def stop_twice(trial: Trial, process: subprocess.Popen, chance: random.Random) -> bool:
    """Signal a process, and at once again, and see that it stops; return whether it was not just about to end."""
    send(process, chance)
    time.sleep(chance.uniform(0.0, 0.1))
    if process.poll() is None:
        send(process, chance)
    if process.wait(timeout=60) == 0:
        return False
    finished(process, INTERRUPTED)
    return True
