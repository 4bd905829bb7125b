"""The scale on which scores are compared: as they are, or the arcsine of the root where some are near 0 or 100 %."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

if TYPE_CHECKING:
    from ltbench.leaderboard.statistics.estimates import Floats

NEAR = 0.05
"""Mean of a row from which it counts as near 0, and one minus that from which it counts as near 100 %."""


class Scale(msgspec.Struct, frozen=True):
    """A scale of fractions.

    Near its ends a fraction varies less the nearer it is, so a common variance makes no sense there. The arcsine of the
    square root has about the same variance everywhere for a share of correct images, and is defined at 0 and 1 (Fisher,
    1922; Bartlett, "The use of transformations", Biometrics 3, 1947).
    """

    arcsine: bool = False

    @classmethod
    def of(cls, values: Floats) -> Scale:
        """Return the scale for a table. values: float [rows, runs]."""
        known = np.isfinite(values)
        if not known.any() or values[known].min() < 0 or values[known].max() > 1:
            return cls()
        counts = known.sum(axis=1)
        means = np.where(known, values, 0.0).sum(axis=1)[counts > 0] / counts[counts > 0]
        return cls(bool(means.min() < NEAR or means.max() > 1 - NEAR))

    def forth(self, values: Floats) -> Floats:
        """Return scores on the scale."""
        return np.arcsin(np.sqrt(values)) if self.arcsine else values

    def slope(self, gaps: Floats, scaled: Floats, means: Floats) -> Floats:
        """Return points per unit of the scale, for each pair of rows.

        That of the secant between both means: an interval leaves out zero on one scale where it does on the other.
        """
        if not self.arcsine:
            return np.ones_like(gaps)
        middle = np.clip((means[:, None] + means[None]) / 2, 0, 1)
        tangent = 2 * np.sqrt(middle * (1 - middle))
        with np.errstate(divide="ignore", invalid="ignore"):
            secant = gaps / scaled
        return np.where(np.isfinite(secant) & (np.abs(scaled) > 1e-9) & (secant > 0), secant, tangent)

    def slope_of(self, gap: float, scaled: float, mean: float) -> float:
        """Return points per unit of the scale for one difference between scores of a mean."""
        return float(self.slope(np.array([[gap]]), np.array([[scaled]]), np.array([mean]))[0, 0])
