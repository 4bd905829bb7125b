"""Progress: counts and an ETA, as lines where there is no terminal and in one place where there is."""

from __future__ import annotations

import io
import time

import pytest
from fakes import WORK, make, plan, tree
from support import python

from ltbench.executor import Terms
from ltbench.executors.inline import Inline
from ltbench.running.events import Event
from ltbench.running.progress import Progress, count_line, time_line
from ltbench.running.run_counts import RunCounts
from ltbench.running.runner import run
from ltbench.timing.estimate import Prediction
from ltbench.timing.job_shape import Shape


def run_counts(**counted):
    prediction = Prediction(lambda job: (Shape(kind=job.kind), job.spec.get("weight", 1.0)))
    return RunCounts(**({"cells": 144, "slots": 2, "prediction": prediction} | counted))


def test_counts_are_told_in_one_line():
    made = run_counts(done=12, cached=10, failed=["x"], jobs=30, jobs_done=5, done_elsewhere=2, running_elsewhere=1)
    made.begin(make("fit1"), frozenset(["a", "b"]))
    made.begin(make("fit2"), frozenset(["b", "c"]))
    assert count_line(made) == (
        "cells 12/144 done, 3 running, 1 failed, 10 cached; jobs 5/30, 2 running, 2 done elsewhere, 1 running elsewhere"
    )


def test_the_eta_is_unknown_until_a_training_was_measured():
    made = run_counts()
    fits = [make(f"fit{n}", weight=w) for n, w in enumerate([1.0, 2.0, 3.0])]
    made.add([*fits, make("cell1", kind="cell")])
    assert made.eta is None
    assert "unknown until each kind of training has been done once" in time_line(made)
    made.finish(fits[0], seconds=10.0)
    assert made.prediction.seconds(fits[1]) == 20.0
    assert made.eta == pytest.approx(30, abs=0.1)  # side by side: 20 and then a cell, and 30
    made.left.pop(fits[2].key)
    assert made.eta == pytest.approx(20, abs=0.1)
    made.started = time.monotonic() - 65
    assert time_line(made) == "elapsed 1 min 5 s, ETA 20 s"


def test_the_first_job_of_each_worker_says_little_about_the_others():
    made = run_counts(slots=2)
    fits = [make(f"fit{n}") for n in range(5)]
    made.add(fits)
    etas = []
    for fit, seconds, cold in zip(fits, [30.0, 32.0, 2.0, 4.0], [True, True, False, False], strict=False):
        made.finish(fit, seconds=seconds, cold=cold)
        etas.append(made.eta)
    assert etas == pytest.approx([30 * 2, 31 * 2, 2, 3], rel=0.05)
    assert made.seconds["fit"] == 68.0


def test_what_a_running_job_has_done_is_not_expected_again():
    made = run_counts(slots=1)
    fits = [make("fit1"), make("fit2")]
    made.add(fits)
    made.finish(fits[0], seconds=10.0)
    made.begin(fits[1], frozenset())
    job, since, cells = made._running["fit2"]
    made._running["fit2"] = (job, since - 4.0, cells)
    assert made.eta == pytest.approx(6.0, abs=0.1)
    made._running["fit2"] = (job, since - 40.0, cells)
    assert made.eta == pytest.approx(10.0, abs=0.2)  # late, and not over yet: a quarter more than it has had


def test_where_every_training_in_flight_is_late_the_others_will_be_too():
    made = run_counts(slots=2)
    fits = [make(f"fit{n}") for n in range(5)]
    made.add(fits)
    made.finish(fits[0], seconds=10.0)
    for fit, elapsed in ((fits[1], 40.0), (fits[2], 5.0)):
        made.begin(fit, frozenset())
        made._running[fit.key] = (fit, made._running[fit.key][1] - elapsed, frozenset())
    assert made.eta == pytest.approx(15.0, abs=0.2)  # one hangs, which says nothing of those after it
    made._running["fit2"] = (fits[2], made._running["fit2"][1] - 27.0, frozenset())
    # Four times what is known, so 40 s each: 8 s are left of this one, and the other worker's next takes 40.
    assert made.eta == pytest.approx(48.0, abs=0.2)


def test_the_eta_of_a_run_ends_at_nothing(here):
    seen = []
    with Inline(here, Terms(work=WORK)) as executor:
        run(tree(sleeps=0.02), here, executor, on_event=lambda e: seen.append((e.kind, e.counts.eta, e.counts.running)))
    assert seen[0] == ("begin", None, 0)
    assert seen[-1] == ("end", 0.0, 0)
    assert max(running for _, _, running in seen) >= 3


def test_lines_come_now_and_then_and_notes_at_once():
    stream = io.StringIO()
    made = run_counts()
    with Progress(stream) as progress:
        progress(Event(kind="begin", counts=made))
        for _ in range(100):
            made.done += 1
            progress(Event(kind="done", counts=made))
        progress(Event(kind="failed", counts=made, job=make("abcdefabcdef0123"), note="loss is not finite\n  where: x"))
        progress(Event(kind="end", counts=made))
    lines = stream.getvalue().splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("cells 0/144 done")
    assert lines[1] == "FAILED fit abcdefabcdef: loss is not finite"
    assert lines[2].startswith("cells 100/144 done")
    assert "\x1b" not in stream.getvalue()


def test_a_terminal_shows_the_counts_in_one_place():
    stream = io.StringIO()
    made = run_counts(done=3)
    with Progress(stream, live=True) as progress:
        progress(Event(kind="begin", counts=made))
        progress(Event(kind="retry", counts=made, job=make("abcdef"), note="the fit's worker was killed [by SIGKILL]"))
        made.done = 4
        progress(Event(kind="end", counts=made))
    shown = stream.getvalue()
    assert "cells 3/144 done" in shown
    assert "cells 4/144 done" in shown
    assert "trying again: fit abcdef: the fit's worker was killed [by SIGKILL]" in shown
    assert "ETA" in shown


def test_showing_lines_needs_no_rich():
    source = (
        "import sys, io; from ltbench.running.progress import *; from ltbench.running.run_counts import *;"
        "Progress()(Event(kind='begin', counts=RunCounts(cells=1, slots=1)));"
        "assert 'rich' not in sys.modules and 'torch' not in sys.modules"
    )
    done = python(source)
    assert done.stdout == ""
    assert done.stderr.startswith("cells 0/1 done, 0 running, 0 failed")


def test_a_run_with_nothing_to_do_says_so(here):
    stream = io.StringIO()
    with Inline(here, Terms(work=WORK)) as executor, Progress(stream) as progress:
        run(plan(), here, executor, on_event=progress)
    assert stream.getvalue().splitlines()[-1].startswith("cells 0/0 done")
