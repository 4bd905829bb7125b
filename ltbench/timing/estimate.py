"""Predicts the duration of jobs from past jobs of their shape, or from jobs of the current run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from ltbench.core.spec import Job
from ltbench.errors import StoreError
from ltbench.timing import speed_log
from ltbench.timing.job_shape import Shape, Shapes
from ltbench.timing.makespan import makespan
from ltbench.timing.speed_log import Speeds, SpeedSample

if TYPE_CHECKING:
    from ltbench.executor import Context
    from ltbench.planning.plan import Plan
    from ltbench.store.store import Store

Basis = Literal["run", "shape", "alike", "cold", "multiply-adds", "fits", "guess"]
"""The source of a rate, best first: jobs of this run; past jobs of the shape, on any data; past jobs of the model at
that size; the first jobs of this run, which also load libraries; jobs of other models or sizes, scaled by
multiply-adds; for predictions and fits of only the classifier, whole fits of the model, per pass; none."""
_FIRST_GUESS = {"features": 20.0, "predict": 0.3, "select": 0.1, "cell": 0.02}
"""Seconds of a job if no job of its kind is known. Trainings are not guessed."""
_CLASSIFIER_GUESS = 0.5
"""Seconds of a fit on stored features, if none is known."""
_MEMORY_HERE = 10.0
"""Number of jobs over which the speed of a run is averaged: few, because the load of a machine changes."""
_START_GUESS = 4.0
"""Seconds until workers have loaded their libraries, if no past run is known."""


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """How long the missing jobs of a plan will take."""

    seconds: float | None
    """Seconds of work, for one worker; None if some training cannot be predicted."""
    elapsed: float | None
    """Seconds from start to end of a run with `workers`."""
    workers: int
    basis: dict[str, float]
    """Seconds by the source of their prediction."""
    unknown: int = 0
    """Trainings that cannot be predicted."""

    def __add__(self, other: Forecast) -> Forecast:
        """Return the forecast for two parts that run one after the other."""

        def both(a: float | None, b: float | None) -> float | None:
            return None if a is None or b is None else a + b

        return Forecast(
            seconds=both(self.seconds, other.seconds),
            elapsed=both(self.elapsed, other.elapsed),
            workers=self.workers,
            basis={name: self.basis.get(name, 0.0) + other.basis.get(name, 0.0) for name in self.basis | other.basis},
            unknown=self.unknown + other.unknown,
        )


class Prediction:
    """Predicts the seconds of jobs, and learns from finished jobs. `shaped` returns a job's shape and work (`Shapes`)."""

    def __init__(
        self,
        shaped: Callable[[Job], tuple[Shape, float]] = lambda job: (Shape(kind=job.kind), 1.0),
        store: Store | None = None,
        past: Speeds | None = None,
        executor: str | None = None,
    ) -> None:
        """Without a store, nothing is saved, and the time of a first job includes loading libraries.

        past: the speeds of past jobs. executor: the name of the executor if its workers have to be started first.
        """
        self.shaped, self._store, self._executor = shaped, store, executor
        self._past = Speeds() if past is None else past
        self._this_run, self._cold = Speeds(memory=_MEMORY_HERE), Speeds()
        self._expected: defaultdict[str, float] = defaultdict(float)
        self._took: defaultdict[str, float] = defaultdict(float)
        self._new: dict[Shape, SpeedSample] = {}
        self._rates: dict[Shape, tuple[float, Basis] | None] = {}

    @classmethod
    def of(cls, plan: Plan, context: Context, *, past: Speeds | None = None, executor: str | None = None) -> Prediction:
        """Return the prediction for the jobs of a plan. past: as read by `known`, by default from the store of `context`."""
        past = known(context.store) if past is None else past
        return cls(Shapes(plan, context.registry, context.data_root), context.store, past, executor)

    # --- asking --------------------------------------------------------------------------------------------------

    def seconds(self, job: Job) -> float | None:
        """Return the seconds that a job will take; None if unknown."""
        shape, work = self.shaped(job)
        rate = self._rate(shape)
        return None if rate is None else _seconds(rate, work)

    @property
    def start(self) -> float:
        """Seconds from the start of a run until its workers begin."""
        if self._executor in (None, "inline"):
            return 0.0
        known = self._past.rate(Shape(kind="start", data=self._executor))
        return _START_GUESS if known is None else known

    def forecast(self, jobs: Mapping[str, Job], *, workers: int) -> Forecast:
        """Return how long these jobs will take. They are in the order of a plan."""
        seconds: dict[str, float] = {}
        basis: defaultdict[str, float] = defaultdict(float)
        unknown = 0
        for key, job in jobs.items():
            shape, work = self.shaped(job)
            rate = self._rate(shape)
            if rate is None:
                unknown += 1
                continue
            seconds[key] = _seconds(rate, work)
            basis[rate[1]] += seconds[key]
        if unknown:
            return Forecast(seconds=None, elapsed=None, workers=workers, basis=dict(basis), unknown=unknown)
        elapsed = makespan(jobs, seconds, workers) + self.start if jobs else 0.0
        return Forecast(seconds=sum(seconds.values()), elapsed=elapsed, workers=workers, basis=dict(basis))

    def _rate(self, shape: Shape) -> tuple[float, Basis] | None:
        if shape not in self._rates:
            self._rates[shape] = self._best_rate(shape)
        return self._rates[shape]

    def _best_rate(self, shape: Shape) -> tuple[float, Basis] | None:
        correction = self._correction(shape.kind)
        for wide in shape.wider():
            if (rate := self._this_run.rate(wide)) is not None:
                return rate, "run"
            if (rate := self._past.rate(wide)) is not None:
                return rate * correction, "shape" if wide.techniques or shape.kind != "fit" else "alike"
        # The first jobs of this run overestimate, but less than rates scaled from another model or size.
        if (rate := self._cold.nearest_rate(shape)) is not None:
            return rate, "cold"
        if (macs := self._this_run.macs(shape) or self._past.macs(shape)) is not None:
            for wide in shape.by_multiply_adds():
                for some, factor in ((self._this_run, 1.0), (self._past, correction)):
                    if (rate := some.rate_by_multiply_adds(wide, macs)) is not None:
                        return rate * factor, "multiply-adds"
        return self._from_fits(shape)

    def _from_fits(self, shape: Shape) -> tuple[float, Basis] | None:
        if shape.trainable == "features":
            return _CLASSIFIER_GUESS, "guess"
        if shape.model and (shape.kind, shape.trainable) != ("fit", "all"):
            model, channels, size = shape.place
            fits = Shape(
                kind="fit", model=model, channels=channels, size=size, precision=shape.precision, trainable="all"
            )
            if (rate := self._rate(fits)) is not None:
                return rate[0], "fits"
        return (_FIRST_GUESS[shape.kind], "guess") if shape.kind in _FIRST_GUESS else None

    def _correction(self, kind: str) -> float:
        """Return the slowdown of jobs of a kind against past ones, because the load of the machine may differ."""
        return self._took[kind] / self._expected[kind] if self._expected[kind] else 1.0

    # --- learning ------------------------------------------------------------------------------------------------

    def learn(self, job: Job, seconds: float, *, cold: bool = False) -> None:
        """Learn from a finished job. cold: whether its seconds include loading libraries."""
        shape, work = self.shaped(job)
        if cold:
            warm = self.trained(job)
            if warm is None:
                self._cold.add(SpeedSample(shape=shape, jobs=1, seconds=seconds, work=work))
                self._rates.clear()
                return
            seconds = warm
        # Compared by kind, not by shape: load on the machine slows every training down.
        expected = self._past.nearest_rate(shape)
        if expected is not None:
            self._expected[shape.kind] += expected * work
            self._took[shape.kind] += seconds
        macs = None if job.kind != "fit" else self._this_run.macs(shape) or self._cost(job).get("macs")
        self._note(SpeedSample(shape=shape, jobs=1, seconds=seconds, work=work, macs=macs or 0.0))

    def learn_start(self, seconds: float) -> None:
        """Learn how long the workers took to start."""
        if self._executor is not None:
            shape = Shape(kind="start", data=self._executor)
            self._note(SpeedSample(shape=shape, jobs=1, seconds=seconds, work=1.0))

    def save(self) -> None:
        """Append what was learned since the last call to the store. Raises `StoreError` if it cannot be written."""
        samples, self._new = list(self._new.values()), {}
        if samples and self._store is not None:
            speed_log.append(_folder(self._store), samples)

    def _note(self, sample: SpeedSample) -> None:
        self._this_run.add(sample)
        self._rates.clear()
        if before := self._new.get(sample.shape):
            sample = msgspec.structs.replace(
                sample, jobs=before.jobs + sample.jobs, seconds=before.seconds + sample.seconds,
                work=before.work + sample.work,
            )  # fmt: skip
        self._new[sample.shape] = sample

    def trained(self, job: Job) -> float | None:
        """Return the seconds on record for a job's work, without loading libraries; None if there are none."""
        cost = self._cost(job)
        if job.kind in ("predict", "features"):
            return cost.get({"predict": "predict_seconds", "features": "feature_seconds"}[job.kind])
        # train_seconds includes the fits that this one continues and its teacher, so it applies only without them.
        return cost.get("job_seconds" if job.reads else "train_seconds")

    def _cost(self, job: Job) -> Mapping[str, float]:
        if self._store is None or job.kind == "cell":
            return {}
        try:
            cost: Mapping[str, float] = self._store.meta(job.key).get("cost", {})
        except StoreError:
            return {}  # the job that reads the artefact reports the error
        return cost


def known(store: Store) -> Speeds:
    """Return the speeds of past jobs in a store."""
    return Speeds(speed_log.read(_folder(store)))


def _seconds(rate: tuple[float, Basis], work: float) -> float:
    return rate[0] if rate[1] == "guess" else rate[0] * work


def _folder(store: Store) -> Path:
    return store.root / "speeds"
