"""Predictions of all folds of a cross-validation together: each image once, by classifiers that were not trained on it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ltbench.confusion import Confusion

if TYPE_CHECKING:
    from ltbench.stages import FloatArray, IntArray

Score = Callable[["FloatArray", "IntArray"], float]
"""Probabilities float [N, C] and labels int64 [N] -> a number; NaN if it is undefined."""

RESAMPLES = 400
LEVEL = 0.95


class Estimate(NamedTuple):
    """A number with the ends of its 95 % interval."""

    value: float
    low: float
    high: float


class Pooled:
    """Labels of images, and what several rows predict for them."""

    def __init__(
        self,
        labels: IntArray,
        probabilities: Mapping[str, Sequence[FloatArray]],
        score: Score,
        units: IntArray | None = None,
    ) -> None:
        """labels: int64 [N]; probabilities: of each row, a table float [N, C] for each of its seeds; score: of a table.

        units: what each image belongs to, int64 [N], such as the images of a patient, which are not independent; None if
        every image stands alone.
        """
        self.labels, self._tables, self._score, self._units = labels, probabilities, score, units

    @property
    def rows(self) -> list[str]:
        """The names of the rows."""
        return list(self._tables)

    def score(self, row: str) -> Estimate:
        """Return the score of a row, the mean over its seeds."""
        draws = self._draws[row]
        return _interval(self._mean_score(row, np.arange(len(self.labels))), draws)

    def difference(self, row: str, other: str) -> Estimate:
        """Return how much higher the score of a row is than that of another one, image by image.

        An interval from resamples of the images of each class, the same for both rows, so that what is hard for both does not
        widen it. Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, section 13.3 (percentiles).
        """
        every = np.arange(len(self.labels))
        value = self._mean_score(row, every) - self._mean_score(other, every)
        return _interval(value, self._draws[row] - self._draws[other])

    def recalls(self, row: str) -> FloatArray:
        """Return the share of right predictions of each class, float [C]; NaN for a class without images."""
        return np.array([math.nan if value is None else value for value in self.confusion(row).recall()])

    def confusion(self, row: str) -> Confusion:
        """Return how many images of each class were taken for each, the sum over seeds."""
        tables = self._tables[row]
        return Confusion.total(Confusion.of(self.labels, table.argmax(1), table.shape[1]) for table in tables)

    def seeds(self, row: str) -> int:
        """Return the number of seeds of a row."""
        return len(self._tables[row])

    def _mean_score(self, row: str, chosen: IntArray) -> float:
        tables = self._tables[row]
        return float(np.mean([self._score(table[chosen], self.labels[chosen]) for table in tables]))

    @cached_property
    def _draws(self) -> dict[str, FloatArray]:
        """Scores of each row in the resamples, float [R]."""
        resamples = self._resamples()
        return {row: np.array([self._mean_score(row, chosen) for chosen in resamples]) for row in self._tables}

    def _resamples(self) -> Sequence[IntArray]:
        rng = np.random.default_rng(0)
        if self._units is None:
            members = [np.flatnonzero(self.labels == label) for label in np.unique(self.labels)]
            return [np.concatenate([rng.choice(own, len(own)) for own in members]) for _ in range(RESAMPLES)]
        # Whole units, because the errors of their images go together; those with the same rarest class are one stratum.
        images = [np.flatnonzero(self._units == unit) for unit in np.unique(self._units)]
        rarity = np.bincount(self.labels)
        strata: dict[int, list[IntArray]] = {}
        for own in images:
            strata.setdefault(min(self.labels[own].tolist(), key=lambda label: (rarity[label], label)), []).append(own)
        return [
            np.concatenate([own[place] for own in strata.values() for place in rng.integers(len(own), size=len(own))])
            for _ in range(RESAMPLES)
        ]


def _interval(value: float, draws: FloatArray) -> Estimate:
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(value, float(low), float(high))
