"""SIGTERM and Ctrl-C: one finishes what is in flight, two stop at once, and the same command goes on."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
from trial import Trial, at_work, finished, harass

from ltbench.cli import walk
from ltbench.errors import INTERRUPTED

TRIES = 20


def send(process: subprocess.Popen, chance: random.Random) -> None:
    """Send SIGTERM to the command, or SIGINT to it or, as a terminal does, to its workers, too."""
    how = chance.randrange(3)
    if how == 2:
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.send_signal((signal.SIGINT, signal.SIGTERM)[how])


@pytest.mark.slow
def test_one_signal_finishes_what_is_in_flight(undisturbed: Trial, tmp_path: Path) -> None:
    chance = random.Random(3)

    def stop(trial: Trial, process: subprocess.Popen) -> bool:
        if not at_work(trial, process, chance.uniform(0.0, 0.3)):
            return False
        send(process, chance)
        if process.wait(timeout=60) == 0:
            return False  # it was about to end
        assert "the same command goes on from there" in finished(process, INTERRUPTED)
        assert sorted(trial.lines("began")) == sorted(trial.lines("made"))
        return True

    harass(tmp_path, undisturbed, stop, tries=TRIES, lost=0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_lets_the_page_be_written(
    number: signal.Signals, undisturbed: Trial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = Trial(tmp_path, store=undisturbed.root)
    publish = walk.publish_suite

    def disturbed(*args: object) -> list[Path]:
        signal.raise_signal(number)
        return publish(*args)

    monkeypatch.setattr(walk, "publish_suite", disturbed)
    trial.publish(code=INTERRUPTED)
    assert trial.published() == undisturbed.published()


@pytest.mark.slow
def test_two_signals_stop_now(undisturbed: Trial, tmp_path: Path) -> None:
    chance = random.Random(4)

    def stop(trial: Trial, process: subprocess.Popen) -> bool:
        if not at_work(trial, process, chance.uniform(0.0, 0.3)):
            return False
        send(process, chance)
        time.sleep(chance.uniform(0.0, 0.1))
        if process.poll() is None:
            send(process, chance)
        if process.wait(timeout=60) == 0:
            return False
        finished(process, INTERRUPTED)
        return True

    harass(tmp_path, undisturbed, stop, tries=TRIES, lost=1)
