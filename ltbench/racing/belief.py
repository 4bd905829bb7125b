"""What a search believes of rows, also of those that it never ran: a Gaussian model of their scores.

A score is the sum of a level of its imbalance factor, what its seeds add for all rows, the value of its row, and noise. The
value of a row is the sum of effects of its stages, techniques and pairs of techniques and a part of its own: the model of
`core.effect_model`, with effects drawn from normal distributions. Effects that few cells tell of are so shrunk to zero, and a
row that was never run is believed to be what it has in common with rows that were, with its error. At each factor a row
deviates from its mean over factors in the same way; the noise of each factor is its own; rows that use one training share a
part of it. Variances are the most likely ones (marginal likelihood), penalised towards typical ones.

Source: Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), sections 2.2, 2.7 and 5.4.1. All numbers
are in points, and high is good.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from ltbench.racing.likeness import PARTS, Cells, Likeness, same

if TYPE_CHECKING:
    from ltbench.leaderboard.statistics.estimates import Floats
    from ltbench.racing.likeness import Numbers

_TYPICAL: Final = (2.0, 2.0, 1.0, 1.0, 1.0, 1.0)
"""Typical standard deviations in points: of stages, techniques, pairs, rows, seeds, and the noise."""
_DEVIATION, _SHARED = 0.5, 0.75
"""Typical variance of a row at a factor around its mean, in that of the mean; and of the share of noise in a training."""
_UNSURE, _ALIKE = 1.0, 0.5
"""Standard deviation of the logarithm of a size around the typical one, and of the noise of a factor around that of all."""
_LEVEL = 30.0
"""Standard deviation of the level of all scores, and of each factor around it: so wide that scores decide."""
_BOUND = 4.0
"""Most that the logarithm of a size may be away from the typical one."""


class Sizes(msgspec.Struct, frozen=True, kw_only=True):
    """The variances of the model."""

    parts: Floats
    """float [4]: of `Likeness.of_rows`."""
    seeds: float
    """What the seeds add at a factor, for all rows."""
    deviation: float
    """Of a row at a factor around its mean over factors, in units of `parts`."""
    noise: Floats
    """float [factors]."""
    shared: float
    """Share of the noise that rows with one training have in common."""

    @classmethod
    def of(cls, logs: Floats) -> Sizes:
        """Return the variances. logs: float [8 + factors], as `_typical_logs`."""
        (seeds, noise, deviation, odds) = logs[PARTS : PARTS + 4].tolist()
        return cls(
            parts=np.exp(2 * logs[:PARTS]), seeds=float(np.exp(2 * seeds)), deviation=float(np.exp(deviation)),
            noise=np.exp(2 * (noise + logs[PARTS + 4 :])), shared=float(1 / (1 + np.exp(-odds))),
        )  # fmt: skip

    @classmethod
    def typical(cls, factors: int) -> Sizes:
        """Return the sizes before any score is known."""
        return cls.of(_typical_logs(factors))


def _typical_logs(factors: int) -> Floats:
    """Return the logarithms of typical standard deviations, then of the two ratios, then of the noise of each factor."""
    return np.concatenate([
        np.log(_TYPICAL), np.log([_DEVIATION, _SHARED / (1 - _SHARED)]), np.zeros(factors)
    ])  # fmt: skip


class Model:
    """The prior of the scores of a grid."""

    def __init__(self, likeness: Likeness, factors: int) -> None:
        self.likeness, self.factors = likeness, factors

    def scores(self, sizes: Sizes, first: Cells, second: Cells) -> Floats:
        """Return float [first, second]: covariances of scores with scores."""
        rows = np.tensordot(sizes.parts, self.likeness.of_rows(first.row, second.row), 1)
        factor, block = same(first.factor, second.factor), same(first.block, second.block)
        one, training = self.likeness.of_noise(first, second)
        scale = np.sqrt(np.outer(sizes.noise[first.factor], sizes.noise[second.factor]))
        noise = ((1 - sizes.shared) * one + sizes.shared * training) * scale
        return np.asarray(
            rows * (1 + sizes.deviation * factor) + _LEVEL**2 * (1 + factor) + sizes.seeds * block + noise
        )

    def means(self, sizes: Sizes, rows: Numbers, others: Numbers) -> Floats:
        """Return float [rows, others]: covariances of the mean of a row over factors with such means, or with scores."""
        return self._of_means(sizes, self.likeness.of_rows(rows, others))

    def mean_variances(self, sizes: Sizes, rows: Numbers) -> Floats:
        """Return float [rows]: variances of the means of rows over factors."""
        return self._of_means(sizes, self.likeness.of_one(rows))

    def _of_means(self, sizes: Sizes, alike: Floats) -> Floats:
        shares = 1 + sizes.deviation / self.factors
        return np.asarray(np.tensordot(sizes.parts, alike, 1) * shares + _LEVEL**2 * (1 + 1 / self.factors))

    def fit(self, cells: Cells, scores: Floats) -> Sizes:
        """Return the most likely sizes; typical ones without scores. scores: float [cells]."""
        from scipy import optimize

        typical = _typical_logs(self.factors)
        if not len(scores):
            return Sizes.typical(self.factors)
        unsure = np.where(np.arange(len(typical)) < PARTS + 4, _UNSURE, _ALIKE)
        alike = self.likeness.of_rows(cells.row, cells.row)
        factor, block = same(cells.factor, cells.factor), same(cells.block, cells.block)
        one, training = self.likeness.of_noise(cells, cells)
        at_factor = np.eye(self.factors)[cells.factor]
        centred = scores - scores.mean()

        def loss(logs: Floats) -> tuple[float, Floats]:
            sizes = Sizes.of(logs)
            rows = np.tensordot(sizes.parts, alike, 1)
            scale = np.sqrt(np.outer(sizes.noise[cells.factor], sizes.noise[cells.factor]))
            noise = ((1 - sizes.shared) * one + sizes.shared * training) * scale
            here = 1 + sizes.deviation * factor
            lower = np.linalg.cholesky(rows * here + _LEVEL**2 * (1 + factor) + sizes.seeds * block + noise)
            root = np.linalg.inv(lower)
            inverse = root.T @ root
            weights = inverse @ centred
            # The gradient is half the trace of this times the derivative of the covariance.
            slope = inverse - np.outer(weights, weights)
            odds = sizes.shared * (1 - sizes.shared) * (slope * (training - one) * scale).sum()
            gradient = [
                *(sizes.parts * np.tensordot(alike, slope * here, 2)),
                sizes.seeds * (slope * block).sum(), (slope * noise).sum(),
                sizes.deviation * (slope * rows * factor).sum() / 2, odds / 2,
                *(at_factor.T @ (slope * noise).sum(axis=1)),
            ]  # fmt: skip
            off = (logs - typical) / unsure
            value = centred @ weights / 2 + np.log(np.diag(lower)).sum() + off @ off / 2
            return float(value), np.array(gradient) + off / unsure

        bounds = [(value - _BOUND, value + _BOUND) for value in typical.tolist()]
        found = optimize.minimize(loss, typical, jac=True, method="L-BFGS-B", bounds=bounds).x
        # In the digits beyond, machines differ, and might ask for other cells.
        return Sizes.of(np.round(found, 2))


class Belief:
    """What is believed after some scores. All means of rows are over all factors."""

    def __init__(self, model: Model, sizes: Sizes, cells: Cells, scores: Floats) -> None:
        """scores: float [cells]."""
        from scipy import linalg

        self._model, self._sizes, self._cells = model, sizes, cells
        self._level = float(scores.mean()) if len(scores) else 0.0
        self._lower = np.linalg.cholesky(model.scores(sizes, cells, cells))
        self._solved = linalg.solve_triangular(self._lower, scores - self._level, lower=True)

    def _told(self, covariance: Floats) -> Floats:
        """Return float [told, any]: its products are what the scores explain. covariance: float [any, told], with scores."""
        from scipy import linalg

        return np.asarray(linalg.solve_triangular(self._lower, covariance.T, lower=True))

    def means(self, rows: Numbers) -> tuple[Floats, Floats]:
        """Return float [rows] twice: means and their standard deviations."""
        told = self._told(self._model.means(self._sizes, rows, self._cells.row))
        variance = self._model.mean_variances(self._sizes, rows) - (told**2).sum(axis=0)
        return self._level + told.T @ self._solved, np.sqrt(np.maximum(variance, 0.0))

    def differences(self, rows: Numbers, reference: int) -> tuple[Floats, Floats]:
        """Return float [rows] twice: differences to the mean of a row, and their standard deviations."""
        model, sizes, one = self._model, self._sizes, np.array([reference])
        told = self._told(model.means(sizes, rows, self._cells.row) - model.means(sizes, one, self._cells.row))
        variance = (
            model.mean_variances(sizes, rows) + model.mean_variances(sizes, one)
            - 2 * model.means(sizes, rows, one)[:, 0] - (told**2).sum(axis=0)
        )  # fmt: skip
        return told.T @ self._solved, np.sqrt(np.maximum(variance, 0.0))

    def joint(self, rows: Numbers, cells: Cells) -> Floats:
        """Return float [rows + cells, rows + cells]: the covariance of the means of rows and the scores of cells."""
        model, sizes = self._model, self._sizes
        across = model.means(sizes, rows, cells.row)
        prior = np.block([[model.means(sizes, rows, rows), across], [across.T, model.scores(sizes, cells, cells)]])
        told = self._told(
            np.vstack([model.means(sizes, rows, self._cells.row), model.scores(sizes, cells, self._cells)])
        )
        return np.asarray(prior - told.T @ told)
