"""What it costs to compare the state of the process: around a job, and around the first call of a technique.

A job that has only built-in techniques and no training is compared once, at its end. The first call of each technique
of a third party is compared, too, and in a training, which takes seconds, that of every technique.
"""

from __future__ import annotations

from ltbench.core.process_state import ProcessState, unchanged
from ltbench.executors.perform import warm_up


def test_around_a_job(benchmark) -> None:
    warm_up("cpu")

    assert benchmark(lambda: ProcessState(of_job=True).restore().changed) == []


def test_around_a_call(benchmark) -> None:
    warm_up("cpu")

    def call() -> None:
        with unchanged(AssertionError):
            pass

    benchmark(call)
