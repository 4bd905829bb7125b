"""Runs on a clock of their own: what is predicted after a tenth of the work is within a factor of 1.5 of the truth."""

from __future__ import annotations

import itertools
import random
from types import SimpleNamespace

import pytest
from fakes import context, make, plain_records, plan

from ltbench.executor import Outcome
from ltbench.running import run_counts, run_log, runner
from ltbench.running.run_log import RunLog
from ltbench.running.runner import run
from ltbench.timing.estimate import Prediction
from ltbench.timing.job_shape import Shape
from ltbench.timing.speed_log import Speeds, SpeedSample

START, LOADING = 3.0, 2.5
"""Seconds until a worker can begin, and that its first job takes longer."""
COST = {"plain": 1.0, "mix": 1.15, "sampler": 1.6, "head": 0.4}
"""How much longer than plain ones trainings with some technique take."""


class Clock:
    def __init__(self, monkeypatch):
        self.now = 0.0
        for module in (run_counts, runner, run_log):
            monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: self.now, thread_time=lambda: 0.0))


class Workers:
    """Workers that take as long as they should, in no time."""

    def __init__(self, clock, slots, slowness=1.0, noise=0.15):
        self.clock, self.slots, self.slowness, self.noise = clock, slots, slowness, noise
        self.chance = random.Random(3)
        self.free = [clock.now + START] * slots
        self.cold = slots
        self.out = []

    def seconds(self, job):
        return job.spec["seconds"] * self.slowness * self.chance.lognormvariate(0, self.noise)

    def submit(self, jobs):
        at = max(self.free.pop(self.free.index(min(self.free))), self.clock.now)
        outcomes = []
        for job in jobs:
            took = self.seconds(job) + (LOADING if self.cold > 0 else 0.0)
            self.cold -= 1
            at += took
            outcomes.append(Outcome(key=job.key, status="done", seconds=took))
        self.free.append(at)
        self.out.append((at, outcomes))

    def wait(self, timeout):
        ends = min(at for at, _ in self.out)
        self.clock.now = min(ends, self.clock.now + timeout)
        ended = [one for one in self.out if one[0] <= self.clock.now]
        self.out = [one for one in self.out if one[0] > self.clock.now]
        return [outcome for _, outcomes in ended for outcome in outcomes]

    def stop(self):
        pass


class Telling(Prediction):
    """Jobs say how long they trained, as fits do in their meta.json."""

    def trained(self, job):
        return job.spec["seconds"]


def shaped(job):
    return Shape(kind=job.kind, model="net", techniques=job.spec["does"], size=32, trainable="all"), job.spec["work"]


def suite(fits, per_fit=4.5):
    """Return trainings of every technique on sets of three sizes, each with a prediction and two cells."""
    jobs = []
    turns = itertools.product(range(fits), COST, (1.0, 0.7, 0.5))
    for number, (_, technique, size) in enumerate(itertools.islice(turns, fits)):
        fit = make(f"fit{number}", does=technique, work=size, seconds=per_fit * COST[technique] * size)
        predict = make(f"predict{number}", fit.key, kind="predict", does="", work=1.0, seconds=0.3)
        cells = [make(f"cell{number}-{n}", predict.key, kind="cell", does="", work=1.0, seconds=0.02) for n in range(2)]
        jobs += [fit, predict, *cells]
    return plan(*jobs)


def past(what, wrong=1.0):
    """Return what an earlier run of the same trainings would know."""
    known = Speeds()
    for job in what.jobs.values():
        shape, work = shaped(job)
        known.add(SpeedSample(shape=shape, jobs=1, seconds=job.spec["seconds"] * wrong, work=work))
    known.add(SpeedSample(shape=Shape(kind="start", data="local"), jobs=1, seconds=START + LOADING, work=1.0))
    return known


@pytest.fixture
def guesses(tmp_path, monkeypatch):
    plain_records(monkeypatch)

    def of(what, known=None, slots=2, **workers):
        here = context(tmp_path / "store")
        clock = Clock(monkeypatch)
        log = RunLog(here.store, command=["ltbench"], suite="quick", executor="local", workers=slots)

        def tell(event):
            if event.kind == "begin":
                event.counts.started = clock.now
            log(event)

        prediction = Telling(shaped, here.store, known, "local")
        with log:
            run(what, here, Workers(clock, slots, **workers), prediction=prediction, on_event=tell)
        (part,) = log.run.parts
        assert part.seconds == pytest.approx(clock.now, abs=1e-3)
        return part.guesses

    return of


def within(guess, factor=1.5):
    return guess.ratio is not None and 1 / factor <= guess.ratio <= factor


@pytest.mark.parametrize("slots", [1, 2, 8])
def test_a_first_run_is_predicted_after_a_tenth_of_it(guesses, slots):
    start, *later = guesses(suite(24 * slots), slots=slots)
    assert start.predicted is None
    assert all(within(guess) for guess in later)


@pytest.mark.parametrize("fits", [5, 9, 48])
def test_a_run_of_what_was_trained_before_is_predicted_before_it_begins(guesses, fits):
    what = suite(fits)
    assert all(within(guess, 1.3) for guess in guesses(what, past(what)))


@pytest.mark.parametrize("slowness", [0.7, 2.5])
def test_a_machine_that_is_not_as_fast_as_it_was_is_found_out(guesses, slowness):
    what = suite(48)
    start, *later = guesses(what, past(what), slowness=slowness)
    assert not within(start, 1.3)
    assert all(within(guess) for guess in later)


def test_a_machine_that_is_far_faster_than_it_was_is_found_out_by_the_first_that_is_done(guesses):
    what = suite(48)
    start, tenth, *later = guesses(what, past(what), slowness=0.4)
    assert tenth.predicted == start.predicted  # nothing is done by then
    assert all(within(guess) for guess in later)


def test_techniques_that_were_never_seen_are_told_of_by_the_others(guesses):
    what = suite(48)
    seen = plan(*(job for job in what.jobs.values() if job.spec["does"] in ("plain", "")))
    assert all(within(guess) for guess in guesses(what, past(seen)))
