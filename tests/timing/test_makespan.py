"""How long a graph takes: by hand, and against what Graham (1969) proved of every greedy schedule."""

from __future__ import annotations

import pytest
from fakes import make
from hypothesis import given
from hypothesis import strategies as st

from ltbench.timing import makespan as module
from ltbench.timing.makespan import makespan


def graph(*jobs):
    return {job.key: job for job in jobs}


def test_equal_jobs_come_in_rounds():
    jobs = graph(*(make(f"fit{n}") for n in range(5)))
    assert makespan(jobs, dict.fromkeys(jobs, 10.0), 2) == 30.0
    assert makespan(jobs, dict.fromkeys(jobs, 10.0), 5) == 10.0


def test_a_chain_cannot_be_shared():
    jobs = graph(make("fit1"), make("fit2", "fit1"), make("fit3", "fit2"), make("other"))
    seconds = {"fit1": 5.0, "fit2": 6.0, "fit3": 7.0, "other": 4.0}
    assert makespan(jobs, seconds, 8) == 18.0
    assert makespan(jobs, seconds, 1) == 22.0


def test_a_worker_that_waits_takes_the_next_job_that_can_run():
    jobs = graph(make("a"), make("b", "a"), make("c"), make("d"))
    assert makespan(jobs, {"a": 4.0, "b": 1.0, "c": 1.0, "d": 3.0}, 2) == 5.0


def test_nothing_takes_no_time():
    assert makespan({}, {}, 3) == 0.0


def test_a_parent_that_is_there_already_is_not_waited_for():
    jobs = graph(make("cell", "predict-of-yesterday", kind="cell"))
    assert makespan(jobs, {"cell": 2.0}, 1) == 2.0


@st.composite
def graphs(draw):
    size = draw(st.integers(1, 12))
    jobs = []
    for n in range(size):
        parents = draw(st.sets(st.integers(0, n - 1), max_size=2)) if n else set()
        jobs.append(make(f"job{n}", *(f"job{parent}" for parent in sorted(parents))))
    seconds = draw(st.lists(st.integers(1, 50), min_size=size, max_size=size))
    return graph(*jobs), {f"job{n}": float(s) for n, s in enumerate(seconds)}, draw(st.integers(1, 4))


@given(graphs())
def test_the_walk_lies_between_the_bounds_of_list_scheduling(drawn):
    jobs, seconds, workers = drawn
    walked = makespan(jobs, seconds, workers)
    total = sum(seconds.values())
    before, module._SIMULATED = module._SIMULATED, 0
    try:
        bound, chain = makespan(jobs, seconds, workers), makespan(jobs, seconds, 10**9)
    finally:
        module._SIMULATED = before
    assert bound == pytest.approx(max(total / workers, chain))
    assert bound - 1e-9 <= walked <= total / workers + (1 - 1 / workers) * chain + 1e-9
