"""The record of a run: what it was, what it came to, and how well its time was predicted."""

from __future__ import annotations

import os

import pytest
from fakes import WORK, journal_keys, make, plan, tree

from ltbench.errors import Interrupted, StoreError
from ltbench.executor import Terms
from ltbench.executors.inline import Inline
from ltbench.running import run_record
from ltbench.running.budget import Budget
from ltbench.running.options import RunOptions
from ltbench.running.run_log import RunLog
from ltbench.running.runner import run
from ltbench.running.store_status import store_status
from ltbench.timing.estimate import Prediction
from ltbench.timing.job_shape import Shape
from ltbench.timing.speed_log import Speeds, SpeedSample


def log_of(here, **changes):
    told = {"command": ["ltbench", "run", "--all"], "suite": "quick", "executor": "inline", "workers": 1}
    return RunLog(here.store, **told | changes)


def ran(here, *plans, prediction=None, also=lambda event: None, **options):
    with Inline(here, Terms(work=WORK)) as executor, log_of(here) as log:

        def tell(event):
            log(event)
            also(event)

        for one in plans:
            run(
                one,
                here,
                executor,
                RunOptions(**options),
                prediction=prediction or Prediction(store=here.store, executor="inline"),
                on_event=tell,
            )
    return log


def only(here):
    (one,) = run_record.read(here.store.root)
    return one


def test_a_run_that_ended_is_on_record(here):
    ran(here, tree(fits=3, cells=2, sleeps=0.05))
    one = only(here)
    assert (one.state, one.cells, one.done, one.failed, one.cached) == ("done", 6, 6, 0, 0)
    assert (one.command, one.suite, one.executor, one.workers) == (("ltbench", "run", "--all"), "quick", "inline", 1)
    assert (one.pid, one.ran, one.in_flight, one.eta) == (os.getpid(), {"fit": 3, "predict": 3, "cell": 6}, (), None)
    assert 0.15 < one.worked["fit"] <= one.seconds
    assert one.ended >= one.began
    assert not list(here.store.leases.folder.glob("run-*"))


def test_failed_cells_are_counted(here):
    ran(here, plan(make("fit1", does="fail"), make("cell1", "fit1", kind="cell")))
    assert (only(here).state, only(here).failed) == ("failed", 1)


def test_a_run_with_nothing_to_do_leaves_no_record(here):
    ran(here, tree())
    ran(here, tree())
    assert len(run_record.read(here.store.root)) == 1


def test_the_parts_of_a_run_are_summed_up(here):
    second = plan(make("fit9", sleeps=0.05), make("cell9", "fit9", kind="cell"))
    ran(here, tree(fits=2, cells=1), second)
    one = only(here)
    assert (one.state, one.cells, one.done, one.jobs, one.jobs_done) == ("done", 3, 3, 8, 8)
    assert one.ran == {"fit": 3, "predict": 2, "cell": 3}
    assert [part.jobs for part in one.parts] == [6, 2]


def test_a_run_out_of_time_is_unfinished_and_has_no_ratio(here):
    ran(here, tree(fits=40, cells=1, sleeps=0.02), budget=Budget(seconds=0.1))
    one = only(here)
    assert (one.state, one.done < 40) == ("unfinished", True)
    assert one.parts[0].guesses == ()


@pytest.mark.parametrize(("error", "state"), [(Interrupted("stopped"), "interrupted"), (ValueError("bug"), "broken")])
def test_how_a_run_was_stopped_is_on_record(here, error, state):
    def stop(event):
        if event.kind == "done":
            raise error

    with pytest.raises(type(error)):
        ran(here, tree(), also=stop)
    assert only(here).state == state


def test_a_prediction_is_held_against_what_it_was(here):
    known = Speeds(
        [
            SpeedSample(shape=Shape(kind=kind), jobs=1, seconds=s, work=1.0)
            for kind, s in (("fit", 0.4), ("predict", 0.001), ("cell", 0.001))
        ]
    )
    prediction = Prediction(store=here.store, past=known)
    ran(here, tree(fits=20, cells=1, sleeps=0.04), prediction=prediction)
    (part,) = only(here).parts
    start, *later = part.guesses
    assert start.after == 0
    assert start.predicted == pytest.approx(20 * 0.402)
    assert start.ratio == pytest.approx(start.predicted / part.seconds, abs=0.01)
    assert start.ratio > 1.5  # the past says ten times what is so
    assert [guess.after >= share for guess, share in zip(later, (0.1, 0.25, 0.5), strict=True)] == [True] * 3
    assert all(guess.predicted < start.predicted for guess in later)
    assert later[-1].ratio == pytest.approx(1, abs=0.5)


def test_what_a_run_learned_is_there_for_the_next_prediction(here):
    ran(here, tree(fits=4, cells=1, sleeps=0.1))
    (path,) = (here.store.root / "speeds").glob("*.jsonl")
    assert b'"kind":"fit"' in path.read_bytes()
    assert b'"kind":"start"' in path.read_bytes()


def test_a_running_run_can_be_seen_and_is_alive(here):
    seen = []

    def watch(event):
        if event.kind == "handed" and event.job.key == "fit1":
            seen.append(store_status(here.store))

    ran(here, tree(fits=2, cells=1, sleeps=0.6), also=watch)  # too long to be gathered into one task
    (status,) = seen
    (one,) = status.running
    assert (one.pid, one.state) == (os.getpid(), "running")
    assert [(flight.key, flight.kind) for flight in one.in_flight] == [("fit1", "fit")]
    assert (one.done, one.jobs, one.eta is None) == (1, 6, False)
    assert status.recent == status.held == ()
    assert [seen.state for seen in store_status(here.store).recent] == ["done"]


def test_a_store_that_takes_no_record_does_not_stop_the_run(here):
    (here.store.root / "runs").parent.mkdir(parents=True)
    (here.store.root / "runs").write_text("a file in the way")
    log = ran(here, tree())
    assert len(journal_keys(here.store, "ended")) == 30
    assert "the record of a run cannot be written" in log.problem


def test_a_store_that_takes_nothing_says_so_itself(here):
    here.store.root.write_text("a file in the way")
    with pytest.raises(StoreError, match="the store cannot be written"):
        ran(here, tree())
