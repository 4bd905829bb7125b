"""SIGTERM and Ctrl-C: one finishes what is in flight, two stop at once, and the same command continues."""

from __future__ import annotations

import random
import signal
import subprocess
from pathlib import Path

import pytest
from signals import stop_once, stop_twice
from trial import Trial, repeat_fault, wait_until_working

from ltbench.cli.running import parts
from ltbench.errors import INTERRUPTED

TRIES = 20


@pytest.mark.slow
def test_one_signal_finishes_what_is_in_flight(undisturbed: Trial, tmp_path: Path) -> None:
    chance = random.Random(3)

    def stop(trial: Trial, process: subprocess.Popen) -> bool:
        return wait_until_working(trial, process, chance.uniform(0.0, 0.3)) and stop_once(trial, process, chance)

    repeat_fault(tmp_path, undisturbed, stop, tries=TRIES, lost=0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_lets_the_page_be_written(
    number: signal.Signals, undisturbed: Trial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = Trial(tmp_path, store=undisturbed.root)
    publish = parts.write_local_page

    def disturbed(*args: object) -> list[Path]:
        signal.raise_signal(number)
        return publish(*args)

    monkeypatch.setattr(parts, "write_local_page", disturbed)
    trial.publish(code=INTERRUPTED)
    assert trial.published() == undisturbed.published()


@pytest.mark.slow
def test_two_signals_stop_now(undisturbed: Trial, tmp_path: Path) -> None:
    chance = random.Random(4)

    def stop(trial: Trial, process: subprocess.Popen) -> bool:
        return wait_until_working(trial, process, chance.uniform(0.0, 0.3)) and stop_twice(trial, process, chance)

    repeat_fault(tmp_path, undisturbed, stop, tries=TRIES, lost=1)
