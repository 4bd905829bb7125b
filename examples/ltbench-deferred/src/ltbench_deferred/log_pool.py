"""Logarithmic opinion pool."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from ltbench import Ensemble, Member, Meta, NotTuned, hookimpl

if TYPE_CHECKING:
    from ltbench.stages import FloatArray

LTBENCH_API = 1  # version of the ltbench hooks that this module implements


class LogPool(Ensemble, frozen=True):
    """Train several networks with different seeds and merge their probabilities by the geometric mean.

    `p_c` is proportional to `(product over M members of p_mc) ** (1 / M)`: a single member with a probability near
    0 excludes a class, unlike with the arithmetic mean. Probabilities are at least 1e-12, so that the prediction is
    defined even if every class is excluded by some member. The first member is the plain training with the cell's seed
    and is not trained again.

    Source: Heskes, Selecting Weighting Factors in Logarithmic Opinion Pools, NIPS 1997, with equal weights.
    """

    name = "log_pool"

    size: Annotated[int, Meta(ge=2, description="number of members"), NotTuned("decides the cost")] = 3

    def members(self, counts: Sequence[int]) -> list[Member]:
        """Return the members; they do not depend on the class counts."""
        return [Member(seed_offset=number) for number in range(self.size)]

    def merge(self, probabilities: FloatArray) -> FloatArray:
        """Return probabilities float [N, C] from those of the members, float [members, N, C]."""
        import numpy as np

        mean = np.exp(np.log(np.maximum(probabilities, 1e-12)).mean(0))
        merged: FloatArray = mean / mean.sum(-1, keepdims=True)
        return merged


@hookimpl
def ltbench_ensembles() -> list[type[Ensemble]]:
    return [LogPool]
