"""An ensemble that favours confident members."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from ltbench import Ensemble, Member, Meta, NotTuned, hookimpl

if TYPE_CHECKING:
    from ltbench.stages import FloatArray

LTBENCH_API = 1  # version of the ltbench hooks that this module implements


class MyEnsemble(Ensemble, frozen=True):
    """Train several networks with different seeds and merge their probabilities by the quadratic mean.

    `p_c` is proportional to `sqrt(mean over members of p_mc ** 2)`, so that confident members have more weight. The
    first member is the plain training with the cell's seed and is not trained again.

    Source: FILL IN (authors, title, year, equation).
    """

    name = "my_ensemble"

    size: Annotated[int, Meta(ge=2, description="number of members"), NotTuned("decides the cost")] = 3

    def members(self, counts: Sequence[int]) -> list[Member]:
        """Return the members; they do not depend on the class counts."""
        return [Member(seed_offset=number) for number in range(self.size)]

    def merge(self, probabilities: FloatArray) -> FloatArray:
        """Return probabilities float [N, C] from those of the members, float [members, N, C]."""
        mean = (probabilities**2).mean(0) ** 0.5
        merged: FloatArray = mean / mean.sum(-1, keepdims=True)
        return merged


@hookimpl
def ltbench_ensembles() -> list[type[Ensemble]]:
    return [MyEnsemble]
