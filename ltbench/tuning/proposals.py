"""Where trials come from: the same ones for a row and a seed, on any number of workers.

The first trial has the defaults. Quasi-random points follow, a Sobol sequence with a shift of each coordinate (Cranley and
Patterson, SIAM Journal on Numerical Analysis 13, 1976) by the name of the hyper-parameter, so that rows share the values of
all that they have in common, and with these their trainings. After the first batch, `tpe` asks Optuna instead, for a
fixed number of trials at a time, which is told of in a fixed order.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

from ltbench.core.spec import canonical, stream_seed
from ltbench.errors import MissingExtra
from ltbench.suite.tuning import Tuning
from ltbench.tuning.space import Point, Space

_TRIES = 16
"""For each trial, points that are tried before a space is given up that has no other values."""
_UNIT = 2**63


def check_installed(tuning: Tuning) -> None:
    """Raise `MissingExtra` if what proposes trials is not installed."""
    if tuning.sampler == "tpe":
        _optuna()


class Proposals:
    """The trials of a row, in batches. After each, the scores of all trials so far are told."""

    def __init__(self, space: Space, tuning: Tuning) -> None:
        self._space, self._tuning = space, tuning
        self._points = _quasi_random(space, tuning)
        self._seen: set[bytes] = set()
        self._told: list[tuple[Sequence[float], float | None]] = []
        self._asked: list[Sequence[float]] = []
        self.trials: list[Point] = []

    def batch(self) -> list[Point]:
        """Return the next trials; none if there are as many as asked for, or no other values."""
        left = self._tuning.trials - len(self.trials)
        guided = self._tuning.sampler == "tpe" and bool(self.trials)
        size = min(left, self._tuning.batch) if self._tuning.sampler == "tpe" else left
        places = self._guided() if guided else self._points
        found: list[Point] = []
        if not self.trials and size:
            found.append(self._space.default)
            self._seen.add(_identity(self._space.default))
        for _ in range(_TRIES * size):
            if len(found) == size:
                break
            proposed = next(places, None)
            if proposed is None:
                break
            point = self._space.point(proposed)
            if point is not None and _identity(point) not in self._seen:
                self._seen.add(_identity(point))
                self._asked.append(proposed)
                found.append(point)
        self.trials += found
        return found

    def tell(self, scores: Sequence[float | None]) -> None:
        """Tell the scores of all trials so far, in their order: high is good; None for one that failed."""
        # The defaults are no point of the search.
        self._told = list(zip(self._asked, scores[1:], strict=True))

    def _guided(self) -> Iterator[Sequence[float]]:
        optuna = _optuna()
        # Another seed for each batch; what was proposed so far decides the rest.
        seed = stream_seed(self._tuning.seed, f"tpe {len(self._told)}") % 2**32
        study = optuna.create_study(direction="maximize", sampler=_sampler(optuna, seed))
        ranges = {one.name: optuna.distributions.FloatDistribution(0.0, 1.0) for one in self._space.dimensions}
        for places, score in self._told:
            params = dict(zip(ranges, places, strict=True))
            state = optuna.trial.TrialState.FAIL if score is None else optuna.trial.TrialState.COMPLETE
            study.add_trial(optuna.trial.create_trial(state=state, params=params, distributions=ranges, value=score))
        while True:
            asked = study.ask(dict(ranges))
            yield [asked.params[name] for name in ranges]


def _identity(point: Point) -> bytes:
    return canonical([[one.label for one in point.combination.techniques], point.recipe])


def _quasi_random(space: Space, tuning: Tuning) -> Iterator[Sequence[float]]:
    if not space.dimensions:
        return
    from scipy.stats import qmc

    shifts = [stream_seed(tuning.seed, f"tune {one.name}") / _UNIT for one in space.dimensions]
    # Not scrambled: then the first coordinates do not depend on how many there are.
    sobol = qmc.Sobol(len(shifts), scramble=False)
    sobol.fast_forward(1)  # the first point is the origin, at which all coordinates agree
    while True:
        (point,) = sobol.random(1)
        yield [(float(place) + shift) % 1.0 for place, shift in zip(point, shifts, strict=True)]


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise MissingExtra.of('sampler = "tpe"', "optuna", "tune") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _sampler(optuna: Any, seed: int) -> Any:
    with warnings.catch_warnings():
        # Both options have been experimental for years.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True, n_startup_trials=2)
