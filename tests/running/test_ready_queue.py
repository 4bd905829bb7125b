"""The frontier: order, dependencies, and what a failure takes with it."""

from __future__ import annotations

from fakes import make
from hypothesis import given
from hypothesis import strategies as st

from ltbench.running.ready_queue import TASK_JOBS, ReadyQueue


def frontier(*jobs, only=None):
    everything = {job.key: job for job in jobs}
    return ReadyQueue(everything, everything if only is None else {key: everything[key] for key in only})


def keys(jobs):
    return [job.key for job in jobs]


def long(job):
    return 10.0


def short(job):
    return {"fit": 10.0, "predict": 0.1, "cell": 0.01}[job.kind]


FAMILY = (
    make("fit1"),
    make("predict1", "fit1", kind="predict"),
    make("cell1", "predict1", kind="cell"),
    make("fit2"),
    make("predict2", "fit2", kind="predict"),
    make("cell2", "predict2", kind="cell"),
    make("cell12", "predict1", "predict2", kind="cell"),
)


def test_jobs_come_in_the_order_of_the_plan():
    front = frontier(*FAMILY)
    assert keys(front.take(long)) == ["fit1"]
    assert keys(front.take(long)) == ["fit2"]
    assert front.take(long) == []
    front.done("fit2")
    assert keys(front.take(long)) == ["predict2"]
    front.done("fit1")
    assert keys(front.take(long)) == ["predict1"]


def test_small_jobs_are_taken_together_with_those_that_they_unlock():
    front = frontier(*FAMILY)
    for fit in ("fit1", "fit2"):
        assert keys(front.take(short)) == [fit]
    front.done("fit1")
    front.done("fit2")
    assert keys(front.take(short)) == ["predict1", "cell1", "predict2", "cell2", "cell12"]
    assert not front.has_ready


def test_a_task_ends_before_a_long_job():
    front = frontier(*FAMILY)
    assert keys(front.take(short)) == ["fit1"]
    front.done("fit1")
    assert keys(front.take(short)) == ["predict1", "cell1"]
    assert keys(front.take(short)) == ["fit2"]


def test_a_task_is_not_endless():
    front = frontier(*(make(f"cell{n}", kind="cell") for n in range(200)))
    assert len(front.take(lambda job: 0.0)) == TASK_JOBS


def test_a_job_that_came_to_nothing_is_taken_again():
    front = frontier(*FAMILY)
    front.take(long)
    front.put_back("fit1")
    assert keys(front.take(long)) == ["fit1"]


def test_a_failure_takes_what_needs_it_and_what_only_that_needed():
    front = frontier(*FAMILY)
    front.take(long)
    lost, needless = front.fail("fit1")
    assert keys(lost) == ["fit1", "predict1", "cell1", "cell12"]
    assert needless == []
    assert keys(front.take(long)) == ["fit2"]

    front = frontier(make("fit1"), make("fit2"), make("cell12", "fit1", "fit2", kind="cell"))
    front.take(long)
    lost, needless = front.fail("fit1")
    assert keys(lost) == ["fit1", "cell12"]
    assert keys(needless) == ["fit2"]
    assert front.left == 0
    assert front.take(long) == []


def test_what_turns_out_to_be_missing_is_done_before_what_needs_it():
    jobs = {job.key: job for job in FAMILY}
    front = ReadyQueue(jobs, {"predict1": jobs["predict1"], "cell1": jobs["cell1"]})
    assert keys(front.take(long)) == ["predict1"]
    added = front.add({"fit1": jobs["fit1"], "predict1": jobs["predict1"]})
    front.put_back("predict1")
    assert keys(added) == ["fit1"]
    assert keys(front.take(long)) == ["fit1"]
    assert front.take(long) == []
    front.done("fit1")
    assert keys(front.take(long)) == ["predict1"]
    front.done("predict1")
    assert keys(front.take(long)) == ["cell1"]


@st.composite
def graphs(draw):
    count = draw(st.integers(1, 25))
    jobs = []
    for number in range(count):
        parents = draw(st.sets(st.integers(0, number - 1), max_size=3)) if number else set()
        kind = draw(st.sampled_from(["fit", "predict", "cell"]))
        jobs.append(make(f"job{number}", *(f"job{p}" for p in sorted(parents)), kind=kind))
    return jobs


@given(graphs(), st.data())
def test_whatever_happens_every_job_comes_after_its_parents_and_none_is_lost(jobs, data):
    front = frontier(*jobs)
    done, lost, out = set(), set(), []
    for _ in range(1000):
        if data.draw(st.booleans()) and (task := front.take(lambda job: data.draw(st.sampled_from([0.01, 0.3, 9.0])))):
            out.append(task)
            before = set()
            for job in task:
                assert job.key not in done | lost | before
                assert set(job.parents) <= done | before
                before.add(job.key)
        elif out:
            task = out.pop(data.draw(st.integers(0, len(out) - 1)))
            for job in task:
                fate = data.draw(st.sampled_from(["done", "done", "done", "again", "fail"]))
                if not front.is_left(job.key):
                    continue
                if fate == "done" and set(job.parents) <= done:
                    front.done(job.key)
                    done.add(job.key)
                elif fate == "fail":
                    failed, needless = front.fail(job.key)
                    lost |= {j.key for j in (*failed, *needless)}
                else:
                    front.put_back(job.key)
        if not front.left:
            break
    if front.left == 0:
        assert done | lost == {job.key for job in jobs}
        assert not done & lost
    else:
        assert out or front.has_ready


def test_only_what_is_needed_is_done():
    front = frontier(*FAMILY, only=["predict2", "cell2"])
    assert keys(front.take(short)) == ["predict2", "cell2"]
    front.done("predict2")
    front.done("cell2")
    assert front.left == 0
