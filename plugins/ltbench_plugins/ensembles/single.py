"""No ensemble."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ltbench import Ensemble, Member, hookimpl

if TYPE_CHECKING:
    from ltbench.stages import FloatArray


class Single(Ensemble, frozen=True):
    """One training, no ensemble.

    The baseline of the stage: the model of the cell, trained on the whole training subset.

    Source: none; it is the reference for ensembles.
    """

    name = "single"
    baseline = True

    def members(self, counts: Sequence[int]) -> list[Member]:
        """Return the only member."""
        return [Member()]

    def merge(self, probabilities: FloatArray) -> FloatArray:
        """Return the probabilities of the only member, float [N, C], from float [1, N, C]."""
        merged: FloatArray = probabilities[0]
        return merged


@hookimpl
def ltbench_ensembles() -> list[type[Ensemble]]:
    return [Single]
