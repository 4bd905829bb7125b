"""Estimates of the time of simulated runs: after a tenth of the work they are within a factor of 1.5 of the truth."""

from __future__ import annotations

import itertools
import random
from types import SimpleNamespace

import pytest
from fakes import accept_fake_records, context, make, plan

from ltbench.executor import Outcome
from ltbench.running import run_counts, run_log, runner
from ltbench.running.run_log import RunLog
from ltbench.running.runner import run
from ltbench.timing.estimate import Prediction
from ltbench.timing.job_shape import Shape
from ltbench.timing.speed_log import Speeds, SpeedSample

START, LOADING = 3.0, 2.5
"""Seconds until a worker can start, and how much longer its first job takes."""
COST = {"plain": 1.0, "mix": 1.15, "sampler": 1.6, "head": 0.4}
"""Duration of trainings with each kind of technique, relative to plain ones."""


class Clock:
    """Replaces the clock of the modules that measure time."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        for module in (run_counts, runner, run_log):
            monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: self.now, thread_time=lambda: 0.0))


class Workers:
    """A simulated executor: jobs take their time on the clock, and none in fact."""

    def __init__(self, clock, slots, slowness=1.0, noise=0.15):
        self.clock, self.slots, self.slowness, self.noise = clock, slots, slowness, noise
        self.chance = random.Random(3)
        self.free = [clock.now + START] * slots
        self.cold = slots
        self.tasks = []

    def seconds(self, job):
        return job.spec["seconds"] * self.slowness * self.chance.lognormvariate(0, self.noise)

    def submit(self, jobs):
        end = max(self.free.pop(self.free.index(min(self.free))), self.clock.now)
        outcomes = []
        for job in jobs:
            seconds = self.seconds(job) + (LOADING if self.cold > 0 else 0.0)
            self.cold -= 1
            end += seconds
            outcomes.append(Outcome(key=job.key, status="done", seconds=seconds))
        self.free.append(end)
        self.tasks.append((end, outcomes))

    def wait(self, timeout):
        first_end = min(end for end, _ in self.tasks)
        self.clock.now = min(first_end, self.clock.now + timeout)
        ended = [outcomes for end, outcomes in self.tasks if end <= self.clock.now]
        self.tasks = [(end, outcomes) for end, outcomes in self.tasks if end > self.clock.now]
        return [outcome for outcomes in ended for outcome in outcomes]

    def stop(self):
        pass


class PredictionFromSpecs(Prediction):
    """Reads training times from the jobs' specs instead of the meta.json of their fits."""

    def trained(self, job):
        return job.spec["seconds"]


def shaped(job):
    return Shape(kind=job.kind, model="net", techniques=job.spec["does"], size=32, trainable="all"), job.spec["work"]


def suite(fits, per_fit=4.5):
    """Return trainings of every technique on data sets of three sizes, each with a prediction and two cells."""
    jobs = []
    turns = itertools.product(range(fits), COST, (1.0, 0.7, 0.5))
    for number, (_, technique, size) in enumerate(itertools.islice(turns, fits)):
        fit = make(f"fit{number}", does=technique, work=size, seconds=per_fit * COST[technique] * size)
        predict = make(f"predict{number}", fit.key, kind="predict", does="", work=1.0, seconds=0.3)
        cells = [make(f"cell{number}-{n}", predict.key, kind="cell", does="", work=1.0, seconds=0.02) for n in range(2)]
        jobs += [fit, predict, *cells]
    return plan(*jobs)


def speeds_of(grid):
    """Return the speeds that an earlier run of the same jobs measured."""
    speeds = Speeds()
    for job in grid.jobs.values():
        shape, work = shaped(job)
        speeds.add(SpeedSample(shape=shape, jobs=1, seconds=job.spec["seconds"], work=work))
    speeds.add(SpeedSample(shape=Shape(kind="start", data="local"), jobs=1, seconds=START + LOADING, work=1.0))
    return speeds


@pytest.fixture
def guesses(tmp_path, monkeypatch):
    accept_fake_records(monkeypatch)

    def run_grid(grid, known=None, slots=2, **workers):
        here = context(tmp_path / "store")
        clock = Clock(monkeypatch)
        log = RunLog(here.store, command=["ltbench"], suite="quick", executor="local", workers=slots)

        def on_event(event):
            if event.kind == "begin":
                event.counts.started = clock.now
            log(event)

        prediction = PredictionFromSpecs(shaped, here.store, known, "local")
        with log:
            run(grid, here, Workers(clock, slots, **workers), prediction=prediction, on_event=on_event)
        (part,) = log.run.parts
        assert part.seconds == pytest.approx(clock.now, abs=1e-3)
        return part.guesses

    return run_grid


def within(guess, factor=1.5):
    return guess.ratio is not None and 1 / factor <= guess.ratio <= factor


@pytest.mark.parametrize("slots", [1, 2, 8])
def test_a_first_run_is_predicted_after_a_tenth_of_it(guesses, slots):
    start, *later = guesses(suite(24 * slots), slots=slots)
    assert start.predicted is None
    assert all(within(guess) for guess in later)


@pytest.mark.parametrize("fits", [5, 9, 48])
def test_a_repeated_run_is_predicted_before_it_starts(guesses, fits):
    grid = suite(fits)
    assert all(within(guess, 1.3) for guess in guesses(grid, speeds_of(grid)))


@pytest.mark.parametrize("slowness", [0.7, 2.5])
def test_another_speed_of_the_machine_is_noticed(guesses, slowness):
    grid = suite(48)
    start, *later = guesses(grid, speeds_of(grid), slowness=slowness)
    assert not within(start, 1.3)
    assert all(within(guess) for guess in later)


def test_a_far_faster_machine_is_noticed_with_the_first_finished_jobs(guesses):
    grid = suite(48)
    start, tenth, *later = guesses(grid, speeds_of(grid), slowness=0.4)
    assert tenth.predicted == start.predicted  # nothing is done by then
    assert all(within(guess) for guess in later)


def test_new_techniques_are_predicted_from_known_ones(guesses):
    grid = suite(48)
    known = plan(*(job for job in grid.jobs.values() if job.spec["does"] in ("plain", "")))
    assert all(within(guess) for guess in guesses(grid, speeds_of(known)))
