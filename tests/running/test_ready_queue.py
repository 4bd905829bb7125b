"""The ready queue: order, dependencies, and what a failure takes with it."""

from __future__ import annotations

import msgspec
from fakes import make
from hypothesis import given, settings
from hypothesis import strategies as st

from ltbench.running.ready_queue import STACK_JOBS, TASK_JOBS, ReadyQueue


def queue_of(*jobs, only=None):
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
    queue = queue_of(*FAMILY)
    assert keys(queue.take(long)) == ["fit1"]
    assert keys(queue.take(long)) == ["fit2"]
    assert queue.take(long) == []
    queue.done("fit2")
    assert keys(queue.take(long)) == ["predict2"]
    queue.done("fit1")
    assert keys(queue.take(long)) == ["predict1"]


def test_small_jobs_are_taken_together_with_those_that_they_unlock():
    queue = queue_of(*FAMILY)
    for fit in ("fit1", "fit2"):
        assert keys(queue.take(short)) == [fit]
    queue.done("fit1")
    queue.done("fit2")
    assert keys(queue.take(short)) == ["predict1", "cell1", "predict2", "cell2", "cell12"]
    assert not queue.take(short)


def test_a_task_ends_before_a_long_job():
    queue = queue_of(*FAMILY)
    assert keys(queue.take(short)) == ["fit1"]
    queue.done("fit1")
    assert keys(queue.take(short)) == ["predict1", "cell1"]
    assert keys(queue.take(short)) == ["fit2"]


def test_a_task_is_not_endless():
    queue = queue_of(*(make(f"cell{n}", kind="cell") for n in range(200)))
    assert len(queue.take(lambda job: 0.0)) == TASK_JOBS


def test_a_job_that_came_to_nothing_is_taken_again():
    queue = queue_of(*FAMILY)
    queue.take(long)
    queue.put_back("fit1")
    assert keys(queue.take(long)) == ["fit1"]


def test_a_failure_takes_what_needs_it_and_what_only_that_needed():
    queue = queue_of(*FAMILY)
    queue.take(long)
    lost, needless = queue.fail("fit1")
    assert keys(lost) == ["fit1", "predict1", "cell1", "cell12"]
    assert needless == []
    assert keys(queue.take(long)) == ["fit2"]

    queue = queue_of(make("fit1"), make("fit2"), make("cell12", "fit1", "fit2", kind="cell"))
    queue.take(long)
    lost, needless = queue.fail("fit1")
    assert keys(lost) == ["fit1", "cell12"]
    assert keys(needless) == ["fit2"]
    assert queue.left == 0
    assert queue.take(long) == []


def test_what_turns_out_to_be_missing_is_done_before_what_needs_it():
    jobs = {job.key: job for job in FAMILY}
    queue = ReadyQueue(jobs, {"predict1": jobs["predict1"], "cell1": jobs["cell1"]})
    assert keys(queue.take(long)) == ["predict1"]
    added = queue.add({"fit1": jobs["fit1"], "predict1": jobs["predict1"]})
    queue.put_back("predict1")
    assert keys(added) == ["fit1"]
    assert keys(queue.take(long)) == ["fit1"]
    assert queue.take(long) == []
    queue.done("fit1")
    assert keys(queue.take(long)) == ["predict1"]
    queue.done("predict1")
    assert keys(queue.take(long)) == ["cell1"]


@st.composite
def graphs(draw):
    count = draw(st.integers(1, 25))
    jobs = []
    for number in range(count):
        parents = draw(st.sets(st.integers(0, number - 1), max_size=3)) if number else set()
        kind = draw(st.sampled_from(["fit", "predict", "cell"]))
        jobs.append(make(f"job{number}", *(f"job{p}" for p in sorted(parents)), kind=kind))
    return jobs


@settings(deadline=None)  # up to a thousand draws: their time says nothing
@given(graphs(), st.data())
def test_whatever_happens_every_job_comes_after_its_parents_and_none_is_lost(jobs, data):
    queue = queue_of(*jobs)
    done, lost, out = set(), set(), []
    for _ in range(1000):
        if data.draw(st.booleans()) and (task := queue.take(lambda job: data.draw(st.sampled_from([0.01, 0.3, 9.0])))):
            out.append(task)
            before = set()
            for job in task:
                assert job.key not in done | lost | before
                assert set(job.parents) <= done | before
                before.add(job.key)
        elif out:
            task = out.pop(data.draw(st.integers(0, len(out) - 1)))
            for job in task:
                fate = data.draw(st.sampled_from(["done", "done", "done", "put back", "fail"]))
                if not queue.is_left(job.key):
                    continue
                if fate == "done" and set(job.parents) <= done:
                    queue.done(job.key)
                    done.add(job.key)
                elif fate == "fail":
                    failed, needless = queue.fail(job.key)
                    lost |= {j.key for j in (*failed, *needless)}
                else:
                    queue.put_back(job.key)
        if not queue.left:
            break
    if queue.left == 0:
        assert done | lost == {job.key for job in jobs}
        assert not done & lost
    else:
        assert out or queue.take(short)


def test_only_what_is_needed_is_done():
    queue = queue_of(*FAMILY, only=["predict2", "cell2"])
    assert keys(queue.take(short)) == ["predict2", "cell2"]
    queue.done("predict2")
    queue.done("cell2")
    assert queue.left == 0


def stacked(key, *parents, stack="s"):
    return msgspec.structs.replace(make(key, *parents), together=stack)


def test_fits_of_a_stack_come_together_and_with_nothing_else():
    queue = queue_of(
        make("cell0", kind="cell"),
        stacked("a1"),
        make("fit"),
        stacked("b1", stack="t"),
        stacked("a2"),
        stacked("a3", "fit"),
    )
    assert keys(queue.take(short)) == ["cell0"]
    assert keys(queue.take(short)) == ["a1", "a2"]
    assert keys(queue.take(short)) == ["fit"]
    assert keys(queue.take(short)) == ["b1"]
    assert not queue.take(short)
    queue.done("fit")
    assert keys(queue.take(short)) == ["a3"]


def test_a_stack_is_not_endless_and_comes_in_the_order_of_the_plan():
    queue = queue_of(*(stacked(f"fit{n}") for n in range(STACK_JOBS + 3)))
    assert keys(queue.take(long)) == [f"fit{n}" for n in range(STACK_JOBS)]
    assert keys(queue.take(long)) == [f"fit{n}" for n in range(STACK_JOBS, STACK_JOBS + 3)]


def test_fits_that_are_put_back_come_together_again_unless_they_are_apart():
    queue = queue_of(
        *(stacked(f"fit{n}") for n in range(4)), stacked("other", stack="t"), stacked("another", stack="t")
    )
    task = queue.take(long)
    queue.done("fit2")
    for job in task:
        if job.key != "fit2":
            queue.put_back(job.key)
    task = queue.take(long)
    assert keys(task) == ["fit0", "fit1", "fit3"]
    for job in task:
        queue.separate(job)
    assert [keys(queue.take(long)) for _ in range(3)] == [["fit0"], ["fit1"], ["fit3"]]
    assert keys(queue.take(long)) == ["other", "another"]
    assert not queue.take(long)
