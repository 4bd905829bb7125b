"""What it costs to compare the state of the process: around a job, and around the first call of a technique.

A cell calls five techniques or so and takes milliseconds; a training calls some twenty times and takes seconds.
"""

from __future__ import annotations

import torch

from ltbench.core.process_state import ProcessState, unchanged
from ltbench.executors.perform import warm_up


def test_around_a_job(benchmark) -> None:
    warm_up("cpu")

    def compare() -> list[object]:
        state = ProcessState(generators=True)
        changes = state.changes()
        return [*changes, *state.restore()]

    assert torch.get_num_threads() == 1
    assert benchmark(compare) == []


def test_around_a_call(benchmark) -> None:
    warm_up("cpu")

    def call() -> None:
        with unchanged(AssertionError):
            pass

    benchmark(call)
