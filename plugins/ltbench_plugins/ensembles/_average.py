"""Averaging of the members of an ensemble."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ltbench import Ensemble

if TYPE_CHECKING:
    from ltbench.stages import FloatArray


class Average(Ensemble, frozen=True):
    """Predict the mean of the members' probabilities (report wong, figure 7)."""

    def merge(self, probabilities: FloatArray) -> FloatArray:
        """Return the mean, float [N, C], of the probabilities of the members, float [members, N, C]."""
        mean: FloatArray = probabilities.mean(0)
        return mean
